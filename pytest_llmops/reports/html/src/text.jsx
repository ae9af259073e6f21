// Texts from the data. Nothing in them can disguise itself: what would not be seen, or would turn the order of
// what is seen, is written as an escape.
import { useState } from "preact/hooks";

const LIMIT = 20_000;

// Control, format (bidi, zero width, tags), surrogates, separators: but tabs and line ends. Joiners stay where
// they belong to the writing: after a character beyond Latin, as in Persian or an emoji.
const HIDDEN = /(?:(?![\t\n]|\r\n|(?<=[^\0-\u024f\p{Cf}])[\u200c\u200d])[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}])+/gu;

const escaped = (run) =>
  Array.from(run, (character) => {
    const hex = character.codePointAt(0).toString(16);
    return hex.length > 4 ? `\\u{${hex}}` : `\\u${hex.padStart(4, "0")}`;
  }).join("");

/** The text with escapes, for attributes, the title and the clipboard. */
export const visible = (text) => text.replace(HIDDEN, escaped);

// An emoji is two units: it is not cut in half.
const head = (text, limit) => text.slice(0, limit).replace(/[\ud800-\udbff]$/, "");

const cutLine = (text, limit) => head(text, limit).replace(/[ \t\r\n]+/g, " ") + (text.length > limit ? "…" : "");

/** One line of the text, to be shown; `plainLine` is the same for where there can be no elements. */
export const short = (text, limit = 160) => {
  const found = pieces(cutLine(text, limit));
  return found.length > 1 ? found : found[0];
};
export const plainLine = (text, limit = 160) => visible(cutLine(text, limit));

function pieces(text) {
  const found = [];
  let end = 0;
  for (const { 0: run, index } of text.matchAll(HIDDEN)) {
    found.push(text.slice(end, index), <span class="escape">{escaped(run)}</span>);
    end = index + run.length;
  }
  found.push(text.slice(end));
  return found;
}

/**
 * A range of a text: words that came or went, or a mark of a metric.
 * @typedef {{start: number, end: number, tag: "ins" | "del" | "mark", label?: string, title?: string}} Range
 */

/** @param {{of: string, ranges?: Range[]}} props */
export function Text({ of: text, ranges = [] }) {
  const [whole, setWhole] = useState(""); // the text of which all was asked for: another may take its place
  const cut = text.length > LIMIT && whole !== text;
  const shown = cut ? head(text, LIMIT) : text;
  return (
    <>
      {ranges.length ? <Ranged text={shown} ranges={ranges} /> : pieces(shown)}
      {cut && (
        <button type="button" class="more control" onClick={() => setWhole(text)}>
          show all ({text.length.toLocaleString("en")} characters)
        </button>
      )}
    </>
  );
}

function Ranged({ text, ranges }) {
  const inside = ranges.filter(({ start }) => start < text.length);
  const bounds = inside.flatMap(({ start, end }) => [start, end]).filter((at) => at < text.length);
  const cuts = [...new Set([0, ...bounds, text.length])].sort((a, b) => a - b);
  return cuts.slice(1).map((end, i) => {
    const start = cuts[i];
    const over = inside.filter((range) => range.start <= start && range.end >= end);
    return over.reduce(
      (inner, { tag: Tag, label, title, end: last }) => (
        <Tag title={title}>
          {inner}
          {label && last === end && <small>{label}</small>}
        </Tag>
      ),
      pieces(text.slice(start, end)),
    );
  });
}

/** A text of several lines: prose, or as it stands in code and traces. */
export const Prose = ({ of, ranges }) => (
  <div class="prose" dir="auto">
    <Text of={of} ranges={ranges} />
  </div>
);
export const Code = ({ of }) => (
  <pre>
    <Text of={of} />
  </pre>
);

/** A difference of two files: lines that went begin with "-", those that came with "+". */
export function Lines({ of }) {
  let start = 0;
  const ranges = of.split("\n").map((line) => {
    const range = { start, end: start + line.length, tag: { "+": "ins", "-": "del" }[line[0]] };
    start = range.end + 1;
    return range;
  });
  return (
    <pre tabIndex={0}>
      <Text of={of} ranges={ranges.filter(({ tag }) => tag)} />
    </pre>
  );
}

/** A case's id: the file dim, the name strong. */
export function CaseName({ id }) {
  const at = id.indexOf("::") + 2;
  return (
    <span class="name">
      {at > 1 && <span class="dim">{short(id.slice(0, at))}</span>}
      <wbr />
      {short(at > 1 ? id.slice(at) : id)}
    </span>
  );
}
