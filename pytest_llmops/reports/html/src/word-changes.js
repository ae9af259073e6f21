// What changed between two texts, word by word.
import { Diff } from "diff";

const PATIENCE_MS = 400;

const words = new Diff();
words.tokenize = (text) => text.match(/[\p{L}\p{N}_]+|\s+|[^]/gu) ?? [];

/**
 * @returns {{before: Range[], after: Range[], merged: {text: string, ranges: Range[]}} | null}
 *     null where the texts are so different that it would take too long
 */
export function wordChanges(before, after) {
  const parts = words.diff(before, after, { timeout: PATIENCE_MS });
  if (!parts) return null;
  return {
    before: ranges(parts.filter((part) => !part.added)),
    after: ranges(parts.filter((part) => !part.removed)),
    merged: { text: parts.map((part) => part.value).join(""), ranges: ranges(parts) },
  };
}

function ranges(parts) {
  let end = 0;
  return parts
    .map(({ value, added, removed }) => {
      const start = end;
      end += value.length;
      return { start, end, tag: added ? "ins" : removed && "del" };
    })
    .filter(({ tag }) => tag);
}
