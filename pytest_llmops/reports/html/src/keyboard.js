// Keys of the page: each view says which it answers, as "j" or, for two in a row, "g o".
import { useEffect } from "preact/hooks";

const listeners = new Set();
let prefix = "";

/** Calls `keys[name]` when that key is pressed, as long as the component is shown. */
export function useKeys(keys) {
  useEffect(() => {
    listeners.add(keys);
    return () => listeners.delete(keys);
  });
}

const isTyping = (target) => target.closest("input, textarea, select, [contenteditable], dialog");

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
  const pressed = prefix + event.key;
  prefix = event.key === "g" ? "g " : "";
  for (const keys of [...listeners]) {
    if (!keys[pressed]) continue;
    event.preventDefault();
    keys[pressed]();
  }
});
