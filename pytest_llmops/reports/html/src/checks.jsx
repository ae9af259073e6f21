// The checks of the suite, worst first, each with its difference from the baseline drawn to scale.
import { isHigherBetter } from "./measures.js";
import { counted, figure, isNumber, signed } from "./number.js";
import { Status, statusOf, worstFirst } from "./status.jsx";
import { short, Text } from "./text.jsx";

export const Checks = ({ report }) =>
  report.checks.length > 0 && (
    <section>
      <h2>Checks over all cases</h2>
      <table class="stacked">
        <thead>
          <tr>
            <th>Verdict</th>
            <th>Check</th>
            <th class="number">Now</th>
            <th class="number">Baseline</th>
            <th>
              Difference <span class="dim">│ 0 ┊ limit</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {worstFirst(report.checks).map((check) => (
            <tr>
              <td>
                <Status of={statusOf(check)} />
              </td>
              <td>
                <b>{short(check.check)}</b>
                {isNumber(check.cases) && <small class="dim">{counted(check.cases, "case")}</small>}
                <Reasons of={check} />
              </td>
              <td class="number" data-label="now">
                {figure(check.observed)}
              </td>
              <td class="number" data-label="baseline">
                {figure(check.baseline)}
              </td>
              <td>
                <Difference of={check} higher={isHigherBetter(report, check.metric)} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );

export const Reasons = ({ of: { reason, advice, xfail } }) => (
  <>
    {reason && (
      <p dir="auto">
        <Text of={reason} />
      </p>
    )}
    {xfail && (
      <p class="advice" dir="auto">
        Expected to fail: <Text of={xfail} />
      </p>
    )}
    {advice && (
      <p class="advice" dir="auto">
        <Text of={advice} />
      </p>
    )}
  </>
);

const WIDTH = 200;
const MARGIN = 6;

/** The interval of the difference as a range against 0 and the most that it may get worse. */
function Difference({ of: { difference, interval, max_drop }, higher }) {
  if (!isNumber(difference)) return <span class="dim">not compared</span>;
  const [low = difference, high = difference] = interval?.filter(isNumber) ?? [];
  const limit = isNumber(max_drop) ? (higher ? -max_drop : max_drop) : null;
  const values = [0, difference, low, high, limit ?? 0];
  const least = Math.min(...values);
  const span = Math.max(...values) - least || 1;
  const x = (value) => MARGIN + ((value - least) / span) * (WIDTH - 2 * MARGIN);
  return (
    <div class="difference">
      <svg viewBox={`0 0 ${WIDTH} 20`} aria-hidden="true">
        <path class="zero" d={`M${x(0)} 1V19`} />
        {limit != null && <path class="limit" d={`M${x(limit)} 1V19`} />}
        <path class="range" d={`M${x(low)} 10H${x(high)}`} />
        <circle cx={x(difference)} cy="10" r="4" />
      </svg>
      <span>
        <b>{signed(difference)}</b>
        {interval && ` (${signed(low)} to ${signed(high)})`}
        {limit != null && <span class="dim"> limit {signed(limit)}</span>}
      </span>
    </div>
  );
}
