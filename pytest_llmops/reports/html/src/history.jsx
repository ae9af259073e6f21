// The runs before this one: how the checks, the cost and the time went, and which cases changed when.
import { useMemo } from "preact/hooks";
import { dollars, figure, isNumber, percent, seconds } from "./number.js";
import { caseAddress } from "./route.js";
import { useShown } from "./shown.jsx";
import { Icon } from "./status.jsx";
import { CaseName, short } from "./text.jsx";
import { Trend } from "./trend.jsx";

export function History({ report: { history: runs, cases } }) {
  const grid = useMemo(() => lastChangedFirst(runs), [runs]);
  const [shown, more] = useShown(grid, 50, "case");
  const inRun = new Set(cases.map(({ id }) => id));
  return (
    <>
      <h1 tabIndex={-1}>
        History <span class="dim">{runs.length} runs</span>
      </h1>
      <div class="trends">
        {trendsOf(runs).map((trend) => (
          <Trend key={trend.title} runs={runs} {...trend} />
        ))}
      </div>
      <section>
        <h2>Cases by run</h2>
        <p class="dim">
          The share of repeats that passed; – where the case was not run, or the app broke. Cases that changed last come
          first.
        </p>
        <div class="grid" role="region" aria-label="Cases by run" tabIndex={0} ref={showLast}>
          <table>
            <thead>
              <tr>
                <th>Case</th>
                {runs.map(({ name, outcome, ended, revision }) => (
                  <th class="run">
                    <span>
                      <Icon status={outcome} /> {short(name, 24)}{" "}
                      <span class="dim">{[ended.slice(0, 10), revision.slice(0, 7)].filter(Boolean).join(" ")}</span>
                      <span class="unseen"> {short(outcome)}</span>
                    </span>
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {shown.map(({ id, shares }) => (
                <tr>
                  <th>
                    {inRun.has(id) ? (
                      <a href={caseAddress(id)}>
                        <CaseName id={id} />
                      </a>
                    ) : (
                      <CaseName id={id} />
                    )}
                  </th>
                  {shares.map((share) => (
                    <td class={`number ${shade(share)}`}>{percent(share)}</td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
        {more}
      </section>
    </>
  );
}

function trendsOf(runs) {
  const checks = [...new Set(runs.flatMap((run) => Object.keys(run.checks)))];
  const trend = (title, write, read) => ({ title, write, values: runs.map(read) });
  return [
    ...checks.map((check) => trend(check, figure, (run) => run.checks[check] ?? null)),
    trend("Cost", dollars, (run) => run.cost_usd),
    trend("Time in calls", seconds, (run) => run.latency_s),
  ].filter(({ values }) => values.some(isNumber));
}

/** Where the runs do not fit, the last ones matter most. */
const showLast = (grid) => grid && (grid.scrollLeft = grid.scrollWidth);

const shade = (share) => (!isNumber(share) ? "" : share === 1 ? "dim" : share === 0 ? "failed" : "undecided");

/** @returns {{id: string, shares: (number | null)[]}[]} */
function lastChangedFirst(runs) {
  const ids = [...new Set(runs.flatMap((run) => Object.keys(run.cases)))];
  const rows = ids.map((id) => ({ id, shares: runs.map((run) => run.cases[id] ?? null) }));
  const changedAt = ({ shares }) => shares.findLastIndex((share, i) => i > 0 && share !== shares[i - 1]);
  const last = new Map(rows.map((row) => [row, changedAt(row)]));
  return rows.sort((a, b) => last.get(b) - last.get(a) || a.shares.at(-1) - b.shares.at(-1));
}
