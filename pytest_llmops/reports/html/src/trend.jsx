// How a number went from run to run.
import { isNumber } from "./number.js";
import { plainLine, short } from "./text.jsx";

const WIDTH = 320;
const HEIGHT = 96;
const MARGIN = 8;

/** @param {{title: string, runs: {name: string}[], values: (number | null)[], write: (value: number) => string}} props */
export function Trend({ title, runs, values, write }) {
  const known = values.filter(isNumber);
  const least = Math.min(...known);
  const most = Math.max(...known);
  const last = runs.length - 1;
  const x = (at) => MARGIN + (at / last) * (WIDTH - 2 * MARGIN);
  const y = (value) => HEIGHT - MARGIN - (most > least ? (value - least) / (most - least) : 0.5) * (HEIGHT - 2 * MARGIN);
  const points = values.map((value, at) => ({ value, at })).filter(({ value }) => isNumber(value));
  const line = points.map(({ value, at }) => `${x(at)} ${y(value)}`).join("L");
  const words = known.slice(-12).map(write).join(", ");
  return (
    <figure class="trend">
      <figcaption>
        <b>{short(title, 80)}</b>
        <span class="number">{write(values[last])}</span>
      </figcaption>
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label={`${plainLine(title, 80)}: ${words}`}>
        <path d={`M${line}`} />
        {points.map(({ value, at }) => (
          <circle cx={x(at)} cy={y(value)} r="3">
            <title>{`${plainLine(runs[at].name, 60)}: ${write(value)}`}</title>
          </circle>
        ))}
      </svg>
      <small class="dim">
        <span>{short(runs[0].name, 24)}</span>
        {most > least && (
          <span>
            {write(least)} to {write(most)}
          </span>
        )}
        <span>{short(runs[last].name, 24)}</span>
      </small>
    </figure>
  );
}
