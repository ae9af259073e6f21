// What can be said of a case in a number or a word.
import { isNumber, mean } from "./number.js";
import { worstFirst } from "./status.jsx";

export const isHigherBetter = (report, metric) => report.metrics[metric]?.higher_is_better ?? true;

export const valuesOf = (subject, metric) =>
  subject.scores.filter((score) => score.metric === metric && isNumber(score.value)).map((score) => score.value);

export const meanScore = (subject, metric) => mean(valuesOf(subject, metric));

export const costOf = (subject) => {
  const costs = subject.outputs.map((output) => output.usage.cost_usd).filter(isNumber);
  return costs.length ? costs.reduce((sum, cost) => sum + cost, 0) : null;
};

export const latencyOf = (subject) => mean(subject.outputs.map((output) => output.latency_s).filter(isNumber));

/** How far a verdict is from the baseline: above 0 is worse, whichever way the metric runs. */
const dropIn = (report, { metric, difference }) => (isHigherBetter(report, metric) ? 0 - difference : difference);

/** The largest drop of a case, or null where nothing was compared. */
export function dropOf(report, subject) {
  const compared = subject.verdicts.filter(({ difference }) => isNumber(difference));
  return compared.length ? Math.max(...compared.map((verdict) => dropIn(report, verdict))) : null;
}

const COMPARISONS = {
  "<": (a, b) => a < b,
  "<=": (a, b) => a <= b,
  ">": (a, b) => a > b,
  ">=": (a, b) => a >= b,
  "=": (a, b) => a === b,
  "==": (a, b) => a === b,
};

export const compares = (a, comparison, b) => Boolean(COMPARISONS[comparison]?.(a, b));

/** The repeats of a case: those with an output, and those that broke before they had one. */
export const repeatsOf = ({ outputs, failures }) =>
  [...new Set([...outputs, ...failures].map(({ repeat }) => repeat))].sort((a, b) => a - b);

const brokenRepeats = ({ failures }) => new Set(failures.map(({ repeat }) => repeat));

/** Whether the repeats disagree: some broke, or kept a bound, and some did not. */
export function isFlaky(subject) {
  const broken = brokenRepeats(subject).size;
  if (broken && broken < repeatsOf(subject).length) return true;
  return subject.verdicts.some(({ metric, comparison, threshold }) => {
    const kept = valuesOf(subject, metric).map((value) => compares(value, comparison, threshold));
    return isNumber(threshold) && kept.includes(true) && kept.includes(false);
  });
}

export const worstVerdict = ({ verdicts }) => worstFirst(verdicts)[0];

/** Why a case did not pass, in a line. */
export function whyOf(subject) {
  if (subject.status === "passed") return "";
  const verdict = worstVerdict(subject);
  return verdict?.reason || subject.failures[0]?.error || verdict?.check || "";
}

/** The repeat to show first: one that broke, or the one with the worst score. */
export function worstRepeat(report, subject) {
  const [first = 0] = [...brokenRepeats(subject), ...repeatsOf(subject)];
  const metric = worstVerdict(subject)?.metric;
  if (subject.failures.length || !metric) return first;
  const sign = isHigherBetter(report, metric) ? 1 : -1;
  const scores = subject.scores.filter((score) => score.metric === metric && isNumber(score.value));
  return scores.sort((a, b) => sign * (a.value - b.value))[0]?.repeat ?? first;
}
