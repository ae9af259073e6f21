import { useState } from "preact/hooks";
import { counted } from "./number.js";

/** The first of many items, and a button for ten times as many where there are more: a page holds only so much. */
export function useShown(items, first, noun) {
  const [limit, setLimit] = useState(first);
  const next = Math.min(limit * 10, items.length);
  const more = items.length > limit && (
    <button type="button" class="more control" onClick={() => setLimit(next)}>
      show {next < items.length ? "the first" : "all"} {counted(next, noun)}
    </button>
  );
  return [items.slice(0, limit), more];
}
