import { useState } from "preact/hooks";
import { Prose } from "./text.jsx";
import { wordChanges } from "./word-changes.js";

/** What was expected; on request, with what the output left out and put in. */
export function Reference({ of: reference, output }) {
  const [compared, setCompared] = useState(false);
  if (!reference) return null;
  const changes = compared && output && wordChanges(reference, output);
  return (
    <section>
      <h2>Reference</h2>
      {output && (
        <p class="control">
          <label>
            <input type="checkbox" checked={compared} onChange={() => setCompared(!compared)} /> Compare with the output
          </label>
        </p>
      )}
      {changes ? <Prose of={changes.merged.text} ranges={changes.merged.ranges} /> : <Prose of={reference} />}
    </section>
  );
}
