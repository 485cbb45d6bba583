// `completion SHELL`: a script that lets the shell complete verbs, options, suites and cases.
//
// The words are in the script: completing must not start a process for each press of a key.

import { CATALOG } from "../../fixtures/catalog.js";
import { ALL_CASES, caseName, SUITES } from "../suite/index.js";
import { UsageError } from "./usage.js";

export interface CompletedVerb {
  readonly name: string;
  /** With their dashes. */
  readonly options: readonly string[];
}

const SHELLS = ["bash", "zsh", "fish"];

/** Throws UsageError for another shell. */
export function completionScript(shell: string, verbs: readonly CompletedVerb[]): string {
  if (!SHELLS.includes(shell)) throw new UsageError(`completion is for ${SHELLS.join(", ")}, not "${shell}"`);
  const known = verbs.map((verb) => ({ ...verb, words: wordsOf(verb.name) }));
  return shell === "fish" ? fishScript(known) : bashScript(known, shell === "zsh");
}

interface Known extends CompletedVerb {
  /** What may follow the verb; none: files. */
  readonly words: readonly string[];
}

function wordsOf(verb: string): readonly string[] {
  switch (verb) {
    case "bench":
      return ["quick", ...SUITES.map(({ name }) => name), ...ALL_CASES.map(caseName)];
    case "profile":
      return ALL_CASES.map(caseName);
    case "gen":
      return Object.keys(CATALOG);
    case "completion":
      return SHELLS;
    default:
      return [];
  }
}

/** zsh reads it through its emulation of bash's completion. */
function bashScript(verbs: readonly Known[], isZsh: boolean): string {
  const cases = verbs.map(
    ({ name, options, words }) =>
      `    ${name}) options="${options.join(" ")}"; words="${words.join(" ")}" ;;`,
  );
  return `${isZsh ? "autoload -U +X bashcompinit && bashcompinit\n" : ""}_millrace() {
  local word="\${COMP_WORDS[COMP_CWORD]}" verb="\${COMP_WORDS[1]}" options="" words=""
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "${verbs.map(({ name }) => name).join(" ")}" -- "$word"))
    return
  fi
  case "$verb" in
${cases.join("\n")}
  esac
  case "$word" in
    -*) COMPREPLY=($(compgen -W "$options" -- "$word")) ;;
    *) COMPREPLY=($(compgen -W "$words" -- "$word") $(compgen -f -- "$word")) ;;
  esac
}
complete -F _millrace millrace
`;
}

function fishScript(verbs: readonly Known[]): string {
  const names = verbs.map(({ name }) => name).join(" ");
  return `${[
    `complete -c millrace -n "not __fish_seen_subcommand_from ${names}" -f -a "${names}"`,
    ...verbs.flatMap(({ name, options, words }) => {
      const after = `-n "__fish_seen_subcommand_from ${name}"`;
      return [
        ...(words.length > 0 ? [`complete -c millrace ${after} -a "${words.join(" ")}"`] : []),
        ...options
          .filter((option) => option.startsWith("--"))
          .map((option) => `complete -c millrace ${after} -l ${option.slice(2)}`),
      ];
    }),
  ].join("\n")}\n`;
}
