// What the run used of models, beside what the baseline did.
import { dollars, figure, percent, seconds, signed } from "./number.js";

const USAGE = [
  ["calls", "Calls", figure],
  ["replayed", "Replayed", figure],
  ["failed", "Failed", figure],
  ["prompt_tokens", "Prompt tokens", figure],
  ["completion_tokens", "Completion tokens", figure],
  ["cost_usd", "Cost", dollars],
  ["latency_s", "Time in calls", seconds],
];

export function Usage({ now, before }) {
  const rows = USAGE.filter(([field]) => now[field] != null);
  if (!rows.length) return null;
  return (
    <section>
      <h2>Usage</h2>
      <table>
        <thead>
          <tr>
            <th>Of model calls</th>
            <th class="number">Now</th>
            {before && <th class="number">Baseline</th>}
            {before && <th class="number">Change</th>}
          </tr>
        </thead>
        <tbody>
          {rows.map(([field, name, write]) => (
            <tr>
              <th>{name}</th>
              <td class="number">{write(now[field])}</td>
              {before && <td class="number">{write(before[field])}</td>}
              {before && <td class="number">{change(now[field], before[field])}</td>}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

function change(now, before) {
  if (before == null || now === before) return "–";
  return before ? percent((now - before) / before).replace(/^\d/, "+$&") : signed(now - before);
}
