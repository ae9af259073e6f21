// The columns of the list of cases, after the status and the case itself: those of the user, then numbers.
import { costOf, dropOf, latencyOf, meanScore, worstVerdict } from "./measures.js";
import { dollars, figure, seconds } from "./number.js";
import { METRIC } from "./selection.js";
import { short } from "./text.jsx";

/** @returns {{title: string, kind: string, width: string, of: (subject: object) => any}[]} */
export function columnsOf(report, sort = "") {
  const metric = sort.startsWith(METRIC) && sort.slice(METRIC.length);
  const number = (title, of) => ({ title, of, kind: "number", width: "5rem" });
  return [
    ...report.columns.map(({ title, of }) => ({
      title,
      of: ({ id }) => short(of[id] ?? "", 40),
      kind: "text",
      width: "minmax(0, 7rem)",
    })),
    number(metric || "Score", (subject) =>
      figure(metric ? meanScore(subject, metric) : worstVerdict(subject)?.observed),
    ),
    { ...number("Drop", (subject) => figure(dropOf(report, subject))), kind: "number drop" },
    number("Cost", (subject) => dollars(costOf(subject))),
    number("Latency", (subject) => seconds(latencyOf(subject))),
  ];
}
