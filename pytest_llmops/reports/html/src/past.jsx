// Since when something is bad, as the history of runs tells.
import { short } from "./text.jsx";

/**
 * The first run of the unbroken row of bad ones that ends with this run, and the run before it.
 * @returns {{first: object, before: object | undefined, runs: number} | null} null where this run is not bad
 */
export function since(history, isBad) {
  let start = history.length;
  while (start > 0 && isBad(history[start - 1])) start--;
  if (start === history.length) return null;
  return { first: history[start], before: history[start - 1], runs: history.length - start };
}

const caseSince = (history, id) => since(history, ({ cases }) => cases[id] < 1);

/** Said only of what began before this run: this run is what the whole page tells of. */
export function Since({ history, id }) {
  const red = caseSince(history, id);
  return red?.runs > 1 && <span class="dim"> since {short(red.first.name, 60)}</span>;
}
