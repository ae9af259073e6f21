// The language of the filter box: words that must all hold of a case.
import { compares, isFlaky, meanScore } from "./measures.js";
import { isNumber } from "./number.js";
import { isRed, STATUSES } from "./status.jsx";

const WORD = /(-?)(?:"([^"]*)("?)|(\S+))/g;
const KEYED = /^(s|is|metric|file):(?!:)(.*)$/;
const METRIC = /^(.+?)(<=|>=|<|>|=)(-?\d*\.?\d+)$/;

const TRAITS = {
  new: (subject) => subject.new,
  dropped: (subject) => subject.dropped,
  degraded: (subject) => subject.outputs.some((output) => output.degraded),
  flaky: isFlaky,
};

export const EXAMPLES = ["s:red", "is:dropped", "is:new", "is:flaky", "is:degraded"];

/**
 * @returns {{matches: (subject: object) => boolean, wrong: string}} `wrong` says what cannot be understood; those
 *     words are left out, so that a filter half typed does not empty the list.
 */
export function parseFilter(query, report) {
  const tests = [];
  const wrong = [];
  for (const [, minus, quoted, closed, word] of query.matchAll(WORD)) {
    if (quoted != null && !closed) wrong.push("The quote is not closed.");
    const test = quoted != null ? contains(quoted) : testOf(word, report);
    if (typeof test === "string") wrong.push(test);
    else tests.push(minus ? (subject) => !test(subject) : test);
  }
  return { matches: (subject) => tests.every((test) => test(subject)), wrong: wrong.join(" ") };
}

/** A test of a case, or a sentence that says why there is none. */
function testOf(word, report) {
  if (word[0] === "@") return (subject) => subject.tags.includes(word.slice(1));
  const [, key, value] = word.match(KEYED) ?? [];
  switch (key) {
    case "s":
      return statusTest(value);
    case "is":
      return Object.hasOwn(TRAITS, value) ? TRAITS[value] : `is: takes ${choice(Object.keys(TRAITS))}.`;
    case "file":
      return (subject) => (subject.source || subject.id).split("::")[0].includes(value);
    case "metric":
      return metricTest(value, report);
    default:
      return contains(word);
  }
}

function statusTest(status) {
  if (status === "red") return isRed;
  if (!STATUSES.includes(status)) return `s: takes ${choice(["red", ...STATUSES])}.`;
  return (subject) => subject.status === status;
}

function metricTest(asked, report) {
  const [, metric, comparison, bound] = asked.match(METRIC) ?? [];
  if (!metric) return "metric: takes a metric, one of < <= > >= =, and a number, as in metric:semantic<0.5.";
  if (!report.metrics[metric])
    return `There is no metric “${metric}”. There is ${choice(Object.keys(report.metrics))}.`;
  return (subject) => {
    const score = meanScore(subject, metric);
    return isNumber(score) && compares(score, comparison, Number(bound));
  };
}

const choice = (words) => words.join(", ").replace(/, ([^,]*)$/, " or $1");

// Lower case of what a case says, made when it is first searched.
const searchable = new WeakMap();

function contains(text) {
  const wanted = text.toLowerCase();
  return (subject) => {
    if (!searchable.has(subject)) {
      const { id, input, outputs } = subject;
      const asked = typeof input === "string" ? input : JSON.stringify(input);
      searchable.set(subject, [id, asked, ...outputs.map((output) => output.text)].join("\n").toLowerCase());
    }
    return searchable.get(subject).includes(wanted);
  };
}
