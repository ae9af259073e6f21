// The output of a repeat beside that of the baseline, what changed between them, and the marks of metrics.
import { useMemo, useState } from "preact/hooks";
import { dollars, figure, isNumber, seconds } from "./number.js";
import { plainLine, Prose, short } from "./text.jsx";
import { wordChanges } from "./word-changes.js";

export function Outputs({ output, old }) {
  const [compared, setCompared] = useState(true);
  const changes = useMemo(() => old && output && wordChanges(old.text, output.text), [old, output]);
  if (!output && !old) return null;
  const shown = compared && changes ? changes : { before: [], after: [] };
  return (
    <section>
      <h2>Output</h2>
      {old && output && (
        <p class="control">
          {changes ? (
            <label>
              <input type="checkbox" checked={compared} onChange={() => setCompared(!compared)} /> Show changed words
            </label>
          ) : (
            "The two are too different to compare word by word."
          )}
        </p>
      )}
      <div class="sides">
        {old && (
          <div>
            <h3>Baseline</h3>
            <Prose of={old.text} ranges={shown.before} />
          </div>
        )}
        <div>
          <h3>This run</h3>
          {output ? (
            <>
              <Prose of={output.text} ranges={[...shown.after, ...markRanges(output)]} />
              <Marks of={output.marks} />
              <small class="dim">{facts(output)}</small>
            </>
          ) : (
            <p class="dim">No output: the repeat broke before.</p>
          )}
        </div>
      </div>
    </section>
  );
}

const markRanges = ({ text, marks }) =>
  marks
    .map((mark) => {
      const start = mark.text ? text.indexOf(mark.text) : -1;
      const title = plainLine(mark.reason, 400) || undefined;
      return { start, end: start + mark.text.length, tag: "mark", label: short(mark.metric, 40), title };
    })
    .filter(({ start }) => start >= 0);

/** Why a metric marked a sentence: what stands in a title cannot be reached by every reader. */
const Marks = ({ of: marks }) => {
  const explained = marks.filter(({ reason }) => reason);
  return (
    explained.length > 0 && (
      <ul class="plain">
        {explained.map(({ metric, reason }) => (
          <li>
            <mark>{short(metric, 40)}</mark> {short(reason, 400)}
          </li>
        ))}
      </ul>
    )
  );
};

const facts = ({ model, latency_s, usage, attempts, degraded }) =>
  [
    degraded && `degraded: ${plainLine(degraded, 80)}`,
    plainLine(model, 80),
    isNumber(latency_s) && seconds(latency_s),
    isNumber(usage.prompt_tokens) && `${figure(usage.prompt_tokens)} + ${figure(usage.completion_tokens)} tokens`,
    isNumber(usage.cost_usd) && dollars(usage.cost_usd),
    attempts > 1 && `${attempts} attempts`,
  ]
    .filter(Boolean)
    .join(" · ");
