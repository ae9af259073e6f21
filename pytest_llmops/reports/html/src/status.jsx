// The words of the gate, worst first, each with a shape of its own: the colour is never alone.

import { short } from "./text.jsx";

export const STATUSES = ["regressed", "failed", "error", "undecided", "known", "xfailed", "xpassed", "passed"];
export const RED = ["regressed", "failed", "error"];

export const isRed = ({ status }) => RED.includes(status);

/** The status of a verdict: a failure that the baseline has too is known; others are expected by the golden file. */
export const statusOf = ({ outcome, known, xfail }) => {
  if (xfail) return outcome === "passed" ? "xpassed" : "xfailed";
  return known ? "known" : outcome;
};

export const rank = (status) => (STATUSES.indexOf(status) + 1 || STATUSES.length + 1) - 1;

export const worstFirst = (verdicts) => [...verdicts].sort((a, b) => rank(statusOf(a)) - rank(statusOf(b)));

const SHAPES = {
  regressed: "M2 4l5 5 2.5-2.5L14 11M14 7v4h-4",
  failed: "M4 4l8 8M12 4l-8 8",
  error: "M8 2l6.5 11.5h-13zM8 6.5v3.5M8 11.6v.4",
  undecided: "M5 6a3 3 0 1 1 4.5 2.6Q8 9.5 8 11M8 13.4v.4",
  known: "M3 6h10M3 10h10",
  xfailed: "M4 5l6 6M10 5l-6 6M13 5v6",
  xpassed: "M3 8.5l2.5 2.5L10 5.5M13 5v6",
  passed: "M3 8.5l3.5 3.5L13 4.5",
};

export const Icon = ({ status }) => (
  <svg class="icon" viewBox="0 0 16 16" aria-hidden="true">
    <path d={STATUSES.includes(status) ? SHAPES[status] : "M4 8h8"} />
  </svg>
);

/** The class that gives a status its colour: no other word of the data may become a class. */
export const tone = (status) => (STATUSES.includes(status) ? status : "unknown");

export const Status = ({ of: status, children = short(status) || "unknown" }) => (
  <span class={`status ${tone(status)}`}>
    <Icon status={status} /> {children}
  </span>
);
