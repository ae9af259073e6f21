// The scores of all repeats, and of the baseline's, as dots on the range of the metric.
import { meanScore, valuesOf } from "./measures.js";
import { figure, isNumber, mean } from "./number.js";
import { short } from "./text.jsx";

const WIDTH = 200;
const MARGIN = 6;

export function Scores({ report, subject, repeat }) {
  const metrics = [...new Set(subject.scores.map(({ metric }) => metric))];
  if (!metrics.length) return null;
  return (
    <section>
      <h2>Scores</h2>
      <table class="scores stacked">
        <thead>
          <tr>
            <th>Metric</th>
            <th>
              Repeats <span class="dim">● this run ○ baseline ┊ bound</span>
            </th>
            <th class="number">Now</th>
            <th class="number">Baseline</th>
          </tr>
        </thead>
        <tbody>
          {metrics.map((metric) => {
            const before = (subject.before?.scores[metric] ?? []).filter(isNumber);
            return (
              <tr>
                <th>
                  {short(metric, 40)}
                  <Reasons of={subject.scores.filter((score) => score.metric === metric)} repeat={repeat} />
                </th>
                <td>
                  <Dots
                    now={valuesOf(subject, metric)}
                    before={before}
                    bounds={boundsOf(subject, metric)}
                    range={report.metrics[metric]?.range}
                  />
                </td>
                <td class="number" data-label="now">
                  {figure(meanScore(subject, metric))}
                </td>
                <td class="number" data-label="baseline">
                  {figure(mean(before))}
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </section>
  );
}

const boundsOf = (subject, metric) =>
  subject.verdicts
    .filter((verdict) => verdict.metric === metric)
    .map((verdict) => verdict.threshold)
    .filter(isNumber);

const Reasons = ({ of: scores, repeat }) =>
  scores
    .filter((score) => score.repeat === repeat && score.reason)
    .map(({ reason }) => <p dir="auto">{short(reason, 600)}</p>);

function Dots({ now, before, bounds, range }) {
  const values = [...now, ...before, ...bounds, ...(range ?? [])].filter(isNumber);
  if (!values.length) return "–";
  const low = Math.min(...values);
  const high = Math.max(...values);
  const x = (value) => MARGIN + ((value - low) / (high - low || 1)) * (WIDTH - 2 * MARGIN);
  const text = (name, shown) => shown.length > 0 && `${name} ${shown.map(figure).join(", ")}`;
  return (
    <div class="dots">
      <svg viewBox={`0 0 ${WIDTH} 24`} aria-hidden="true">
        <path class="zero" d={`M${MARGIN} 12H${WIDTH - MARGIN}`} />
        {bounds.map((bound) => (
          <path class="limit" d={`M${x(bound)} 1V23`} />
        ))}
        {before.map((value) => (
          <circle class="before" cx={x(value)} cy="7" r="4" />
        ))}
        {now.map((value) => (
          <circle cx={x(value)} cy="17" r="4" />
        ))}
      </svg>
      <small class="dim">
        {[text("now", now), text("baseline", before), text("bound", bounds)].filter(Boolean).join("; ")}
      </small>
    </div>
  );
}
