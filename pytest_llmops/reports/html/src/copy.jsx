import { useEffect, useState } from "preact/hooks";
import { useKeys } from "./keyboard.js";
import { visible } from "./text.jsx";

/** Copies a text, or what `text()` gives. What goes to the clipboard is what can be seen, escapes included. */
export function CopyButton({ text, label = "copy", about, shortcut }) {
  const [said, setSaid] = useState("");
  const copy = async () => {
    const done = await copied(visible(typeof text === "function" ? text() : text));
    setSaid(done ? "copied" : "could not copy");
  };
  useKeys(shortcut ? { [shortcut]: copy } : {});
  useEffect(() => {
    const timer = setTimeout(() => setSaid(""), 1500);
    return () => clearTimeout(timer);
  }, [said]);
  return (
    <span class="control">
      <button type="button" onClick={copy} aria-label={about && `${label}: ${about}`}>
        {said || label}
      </button>
      <span class="unseen" role="status">
        {said}
      </span>
    </span>
  );
}

async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copiedBySelection(text); // a page that is not secure, as on many CI servers, has no clipboard
  }
}

function copiedBySelection(text) {
  const focused = document.activeElement;
  const field = document.createElement("textarea");
  field.value = text;
  document.body.append(field);
  field.select();
  const done = document.execCommand("copy");
  field.remove();
  focused.focus();
  return done;
}

/** A command line and the button that copies it. */
export const Command = ({ of: command, shortcut }) => (
  <div class="command">
    <code>{visible(command)}</code>
    <CopyButton text={command} about={visible(command)} shortcut={shortcut} />
  </div>
);
