// The tools that were called, each beside the call of the baseline that it stands for.
import { diffArrays } from "diff";
import { short } from "./text.jsx";
import { Fields, Value } from "./value.jsx";

export function ToolCalls({ now = [], before }) {
  if (!now.length && !before?.length) return null;
  return (
    <section>
      <h2>Tool calls</h2>
      <ol class="calls">
        {pairs(now, before ?? []).map(({ call, old }) => (
          <ToolCall call={call} old={old} isCompared={Boolean(before)} />
        ))}
      </ol>
    </section>
  );
}

/** Calls of the same tools in the same order belong together. */
function pairs(now, before) {
  const parts = diffArrays(before, now, { comparator: (a, b) => a.name === b.name });
  let olds = 0;
  let news = 0;
  return parts.flatMap(({ added, removed, value }) =>
    value.map(() => ({ old: added ? null : before[olds++], call: removed ? null : now[news++] })),
  );
}

function ToolCall({ call, old, isCompared }) {
  const { name, arguments: given, decision, result } = call ?? old;
  const changed = call && old ? changedParts(call, old) : [];
  return (
    <li>
      <p>
        <code>{short(name)}</code>
        {call && decision && <span class="label">{short(decision, 60)}</span>}
        {!call && <span class="label gone">gone</span>}
        {isCompared && !old && <span class="label came">new</span>}
        {changed.length > 0 && <span class="label came">{changed.join(", ")} changed</span>}
      </p>
      {given != null && <Fields of={given} />}
      {result != null && (
        <details>
          <summary>Result</summary>
          <Value of={result} />
        </details>
      )}
      {changed.length > 0 && (
        <details>
          <summary>In the baseline</summary>
          <Fields of={old} />
        </details>
      )}
    </li>
  );
}

const changedParts = (call, old) =>
  ["arguments", "decision", "result"].filter((part) => JSON.stringify(call[part]) !== JSON.stringify(old[part]));
