#!/usr/bin/env node
// The `millrace` command.

import { runCommandLine } from "./command/cli.js";

runCommandLine(process.argv.slice(2)).then(
  (code) => {
    process.exitCode = code;
  },
  (error) => {
    console.error(error);
    process.exitCode = 1;
  },
);
