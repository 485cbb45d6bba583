// An inverted index of item titles that is built once and then kept: words that come and go are rows with a kind of
// change, the index is what is left. With `emit: "onUpdate"` a stream gives its changes as they come.
//
//   npx millrace gen postings --rows 1M --out postings.arrow
//   npx millrace run examples/inverted-index.ts --input postings=postings.arrow

import { count, from, min } from "millrace";

export default from("postings")
  .changelog()
  .groupBy("word", "item_id")
  .aggregate({ occurrences: count(), first: min("position") });
