// The cases: a filter, an order, and the list of what is left.
import { useRef } from "preact/hooks";
import { EXAMPLES } from "./filter.js";
import { useKeys } from "./keyboard.js";
import { figure } from "./number.js";
import { METRIC, ORDERS } from "./selection.js";
import { plainLine, short } from "./text.jsx";
import { WindowedCases } from "./windowed-cases.jsx";

export function CaseList({ report, selection: { cases, wrong }, query, ask, from }) {
  const field = useRef();
  useKeys({ "/": () => field.current.focus() });
  return (
    <>
      <h1 tabIndex={-1}>
        Cases{" "}
        <span class="dim" role="status">
          {figure(cases.length)} of {figure(report.cases.length)}
        </span>
      </h1>
      <div class="tools">
        <label class="filter">
          <span class="unseen">Filter</span>
          <input
            ref={field}
            type="search"
            placeholder="Filter: s:red @tag text"
            spellcheck={false}
            value={query.q ?? ""}
            onInput={(event) => ask({ q: event.target.value })}
            onKeyDown={(event) => event.key === "Escape" && field.current.blur()}
          />
        </label>
        <label>
          <span>Sort by</span>{" "}
          <select value={query.sort ?? ""} onChange={(event) => ask({ sort: event.target.value })}>
            {Object.entries(ORDERS).map(([value, text]) => (
              <option value={value}>{text}</option>
            ))}
            {Object.keys(report.metrics).map((name) => (
              <option value={METRIC + name}>{plainLine(name, 40)}</option>
            ))}
          </select>
        </label>
      </div>
      <p class="wrong" role="status">
        {wrong && short(wrong, 400)}
      </p>
      <p class="examples">
        {examplesFor(report).map((example) => (
          <button
            type="button"
            aria-pressed={query.q === example}
            onClick={() => ask({ q: query.q === example ? "" : example })}
          >
            {short(example, 40)}
          </button>
        ))}
      </p>
      {cases.length ? (
        <WindowedCases key={`${query.q} ${query.sort}`} report={report} cases={cases} query={query} from={from} />
      ) : (
        <p>{report.cases.length ? "No case is left by this filter." : "This run has no cases."}</p>
      )}
    </>
  );
}

/** Filters to try, of words that this report knows. */
function examplesFor({ cases, metrics }) {
  const tags = new Set(cases.slice(0, 200).flatMap((subject) => subject.tags));
  const metric = Object.keys(metrics).slice(0, 1);
  const own = [...Array.from(tags, (tag) => `@${tag}`).slice(0, 4), ...metric.map((name) => `${METRIC}${name}<0.5`)];
  return [...EXAMPLES, ...own.filter((example) => !/\s/.test(example))];
}
