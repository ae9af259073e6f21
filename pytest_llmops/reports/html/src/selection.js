// The cases that the reader looks at: those that a filter leaves, in the order that he chose.
import { parseFilter } from "./filter.js";
import { costOf, dropOf, isHigherBetter, latencyOf, meanScore } from "./measures.js";
import { isNumber } from "./number.js";
import { rank } from "./status.jsx";

export const ORDERS = { "": "status, worst first", id: "id", drop: "drop", cost: "cost", latency: "latency" };
export const METRIC = "metric:";

/** @returns {{cases: object[], wrong: string}} */
export function select(report, { q = "", sort = "" }) {
  const { matches, wrong } = parseFilter(q, report);
  const key = sortKey(report, sort);
  const keyed = report.cases.filter(matches).map((subject) => [key(subject), subject]);
  keyed.sort(([a], [b]) => (a < b ? -1 : Number(a > b)));
  return { cases: keyed.map(([, subject]) => subject), wrong };
}

/** The value that a case is sorted by, worst lowest: the sort is stable, so equal ones keep the order of the files. */
function sortKey(report, sort) {
  const last = (value) => (isNumber(value) ? value : Infinity);
  const largestFirst = (measure) => (subject) => {
    const value = measure(subject);
    return last(isNumber(value) ? -value : value);
  };
  if (sort === "id") return ({ id }) => id;
  if (sort === "drop") return largestFirst((subject) => dropOf(report, subject));
  if (sort === "cost") return largestFirst(costOf);
  if (sort === "latency") return largestFirst(latencyOf);
  if (!sort.startsWith(METRIC)) return ({ status }) => rank(status);
  const metric = sort.slice(METRIC.length);
  const score = (subject) => meanScore(subject, metric);
  return isHigherBetter(report, metric) ? (subject) => last(score(subject)) : largestFirst(score);
}
