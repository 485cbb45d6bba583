// Property tests draw from one seed, so that a change is judged by the same cases wherever it is tested. MILLRACE_SEED
// asks for others: a number, or "random" (a failure prints the seed it drew).

import fc from "fast-check";

const asked = process.env.MILLRACE_SEED;
if (asked !== "random") fc.configureGlobal({ ...fc.readConfigureGlobal(), seed: Number(asked ?? 20201111) });
