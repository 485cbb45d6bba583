// What a command draws.

export { cardSvg } from "./card.js";
export { historyPage } from "./history-page.js";
export { profilePage } from "./profile-page.js";
export { reportPage } from "./report-page.js";
