import { Reasons } from "./checks.jsx";
import { figure, isNumber, signed } from "./number.js";
import { Status, statusOf, worstFirst } from "./status.jsx";
import { plainLine, short } from "./text.jsx";

/** The verdicts of a case, worst first. */
export const Verdicts = ({ of: verdicts }) =>
  verdicts.length > 0 && (
    <section>
      <h2>Verdicts</h2>
      <ul class="verdicts">
        {worstFirst(verdicts).map((verdict) => (
          <li>
            <Status of={statusOf(verdict)} />
            <div>
              <b>{short(verdict.check || verdict.metric)}</b>
              <small class="dim">{figures(verdict)}</small>
              <Reasons of={verdict} />
            </div>
          </li>
        ))}
      </ul>
    </section>
  );

export const figures = ({ observed, comparison, threshold, baseline, difference, interval, p_value }) =>
  [
    isNumber(observed) && `now ${figure(observed)}`,
    isNumber(threshold) && `bound ${plainLine(comparison, 8)} ${figure(threshold)}`,
    isNumber(baseline) && `baseline ${figure(baseline)}`,
    isNumber(difference) && `difference ${signed(difference)}`,
    interval && `between ${interval.map(signed).join(" and ")}`,
    isNumber(p_value) && `p = ${figure(p_value)}`,
  ]
    .filter(Boolean)
    .join(", ");
