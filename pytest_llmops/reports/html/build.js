// Writes report.js, report.css and LICENSES.txt. The same sources give the same bytes.
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { build } from "esbuild";

const { dependencies } = JSON.parse(readFileSync("package.json", "utf8"));

const options = {
  bundle: true,
  minify: true,
  target: "es2022",
  charset: "ascii", // the page may be read with any encoding
  legalComments: "eof",
  outdir: ".",
};

const licenses = Object.entries(dependencies).map(([name, version]) => {
  const text = readFileSync(`node_modules/${name}/LICENSE`, "utf8").trim();
  return { title: `${name} ${version}`, text, copyright: text.match(/^Copyright.*/m)[0] };
});
const notices = licenses.map(({ title, copyright }) => `${title}: ${copyright}`).join("\n");

// A test of Python, which needs no Node, finds by this digest that the sources changed after the last build.
const sources = ["build.js", "package-lock.json", "package.json", ...readdirSync("src").map((name) => `src/${name}`)];
const digest = createHash("sha256");
for (const name of sources.sort()) digest.update(`${name}\0`).update(readFileSync(name));

await build({
  ...options,
  banner: { js: `// sources ${digest.digest("hex")}` },
  footer: { js: `/*! See LICENSES.txt\n${notices} */` },
  entryPoints: { report: "src/page.jsx" },
  format: "iife",
  jsxFactory: "h",
  jsxFragment: "Fragment",
  inject: ["src/jsx.js"],
});
await build({ ...options, entryPoints: { report: "src/report.css" } });

writeFileSync(
  "LICENSES.txt",
  licenses.map(({ title, text }) => `${title}\n\n${text}\n`).join(`\n${"-".repeat(80)}\n\n`),
);
