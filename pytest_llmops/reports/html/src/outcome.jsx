// The verdict on the whole run, the counts of its cases, and since when it is as it is.
import { counted } from "./number.js";
import { since } from "./past.jsx";
import { address } from "./route.js";
import { Icon, RED, Status, statusOf, STATUSES, tone } from "./status.jsx";
import { short } from "./text.jsx";

export function Outcome({ report: { outcome, title, counts, baseline, accepted, history, cases, checks } }) {
  const red = since(history, (run) => RED.includes(run.outcome));
  return (
    <section class={`outcome ${tone(outcome)}`}>
      <h1 tabIndex={-1}>
        <Icon status={outcome} />
        <span class="word">{short(outcome) || "unknown"}</span> <span class="dim">{short(title)}</span>
      </h1>
      <ul class="counts" aria-label="Cases by status">
        {STATUSES.map((status) => (
          <li class={counts[status] ? "" : "none"}>
            <a href={address("cases", { q: `s:${status}` })}>
              <b>{counts[status].toLocaleString("en")}</b> <Status of={status} />
            </a>
          </li>
        ))}
      </ul>
      <p>
        {sentence(cases, checks)}{" "}
        {baseline ? (
          <>
            Compared with <code>{short(baseline)}</code>
            {accepted && `, accepted in commit ${accepted}`}.
          </>
        ) : (
          "There is no baseline to compare with."
        )}{" "}
        {red && !red.before && red.runs > 1 && `Red in all ${red.runs} runs of the history.`}
        {red?.before && (
          <>
            Red since {named(red.first)} ({counted(red.runs, "run")}). Before it: {named(red.before)},{" "}
            {short(red.before.outcome)}.
          </>
        )}
      </p>
    </section>
  );
}

/** What is counted: a check over all cases may be red where no case is. */
function sentence(cases, checks) {
  const of = STATUSES.map((status) => [checks.filter((check) => statusOf(check) === status).length, status]);
  const numbers = of.filter(([number]) => number).map((pair) => pair.join(" "));
  const rest = numbers.length ? ` Checks over all cases: ${numbers.join(", ")}.` : "";
  return `${counted(cases.length, "case")}.${rest}`;
}

const named = ({ name, revision }) => (
  <>
    <b>{short(name, 60)}</b>
    {revision && (
      <>
        {" "}
        at <code>{short(revision.slice(0, 8))}</code>
      </>
    )}
  </>
);
