// The spans of a repeat: a tree, with a bar for the time of each.
import { useState } from "preact/hooks";
import { dollars, figure, isNumber, seconds } from "./number.js";
import { spanTree } from "./span-tree.js";
import { short } from "./text.jsx";
import { Fields } from "./value.jsx";

const DEEPEST = 12; // deeper spans are not indented further

export function Waterfall({ spans }) {
  if (!spans.length) return null;
  const timed = spans.filter(isTimed);
  const start = timed.reduce((least, span) => Math.min(least, span.start), Infinity);
  const end = timed.reduce((most, span) => Math.max(most, span.end), start);
  return (
    <section>
      <h2>
        Spans{" "}
        <span class="dim">
          {spans.length}
          {timed.length > 0 && `, ${seconds(end - start)}`}
        </span>
      </h2>
      <div class="span heads" aria-hidden="true">
        <span>Name</span>
        <span>Time</span>
        <span class="number">Duration</span>
        <span class="number">Tokens</span>
        <span class="number">Cost</span>
      </div>
      <ul class="waterfall">
        {spanTree(spans).map(({ span, depth }) => (
          <Span span={span} depth={depth} start={start} length={end - start || 1} />
        ))}
      </ul>
    </section>
  );
}

const isTimed = (span) => span.start > 0 && span.end >= span.start;

function Span({ span, depth, start, length }) {
  const [open, setOpen] = useState(false);
  const { name, kind, status, tokens, cost_usd, attributes, events } = span;
  const isBroken = /error/i.test(status);
  const share = (time) => `${(time / length) * 100}%`;
  return (
    <li>
      <button type="button" class="span" aria-expanded={open} onClick={() => setOpen(!open)}>
        <span class="name" style={{ paddingLeft: `${Math.min(depth, DEEPEST) * 0.8}rem` }}>
          {short(name, 80) || "unnamed"} <small class="dim">{short(kind, 20)}</small>
          {isBroken && <small class="label gone">error</small>}
        </span>
        <span class="track">
          {isTimed(span) ? (
            <span
              class={isBroken ? "bar broken" : "bar"}
              style={{ left: share(span.start - start), width: share(span.end - span.start) }}
            />
          ) : (
            <small class="dim">time unknown</small>
          )}
        </span>
        <span class="number">{isTimed(span) ? seconds(span.end - span.start) : "–"}</span>
        <span class="number">
          {figure(tokens)}
          {isNumber(tokens) && <span class="unseen"> tokens</span>}
        </span>
        <span class="number">{dollars(cost_usd)}</span>
      </button>
      {open && (
        <div class="inside">
          <Fields of={attributes} />
          {events.map((event) => (
            <>
              <p>
                Event <b>{short(event.name, 80)}</b>
              </p>
              <Fields of={event.attributes} />
            </>
          ))}
          {!Object.keys(attributes).length && !events.length && <p class="dim">No attributes, no events.</p>}
        </div>
      )}
    </li>
  );
}
