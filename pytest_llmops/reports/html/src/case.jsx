// A case: why it has its status, what went in, what came out and what came out before, and how that came about.
import { Conversation } from "./conversation.jsx";
import { Command, CopyButton } from "./copy.jsx";
import { useKeys } from "./keyboard.js";
import { repeatsOf, worstRepeat } from "./measures.js";
import { Outputs } from "./outputs.jsx";
import { Passages } from "./passages.jsx";
import { Since } from "./past.jsx";
import { promptFor } from "./prompt.js";
import { Reference } from "./reference.jsx";
import { Scores } from "./scores.jsx";
import { Status } from "./status.jsx";
import { CaseName, Code, short, Text } from "./text.jsx";
import { ToolCalls } from "./tool-calls.jsx";
import { Value } from "./value.jsx";
import { Verdicts } from "./verdicts.jsx";
import { Waterfall } from "./waterfall.jsx";

/** `repeat` is the one that the address asks for; `ask` is not there on paper. */
export function Case({ report, subject, repeat: wanted, ask }) {
  const repeats = repeatsOf(subject);
  const repeat = repeats.includes(Number(wanted)) && wanted ? Number(wanted) : worstRepeat(report, subject);
  const at = repeats.indexOf(repeat);
  const choose = (other) => other != null && ask({ repeat: String(other) });
  useKeys(ask ? { "[": () => choose(repeats[at - 1]), "]": () => choose(repeats[at + 1]) } : {});

  const output = subject.outputs.find((other) => other.repeat === repeat);
  const before = subject.before?.outputs ?? [];
  // The repeat of the baseline that stands in the same place, or its nearest: the two may have repeated unequally.
  const old = before[Math.min(Math.max(at, 0), before.length - 1)];
  const turns = subject.turns.filter((turn) => turn.repeat === repeat);
  return (
    <article>
      <h1 tabIndex={-1}>
        <CaseName id={subject.id} />
      </h1>
      <Facts report={report} subject={subject} />
      <div class="tools">
        {subject.command && <Command of={subject.command} shortcut="y" />}
        <CopyButton label="copy as prompt" text={() => promptFor(report, subject, output, old)} />
      </div>
      <Verdicts of={subject.verdicts} />
      <Failures of={subject.failures} />
      {subject.input != null && !turns.length && (
        <section>
          <h2>Input</h2>
          <Value of={subject.input} />
        </section>
      )}
      {repeats.length > 1 && <Repeats of={repeats} chosen={repeat} choose={choose} />}
      <Conversation of={turns} user={output?.user} />
      <Outputs output={output} old={old} />
      <Reference of={subject.reference} output={output?.text} />
      <Scores report={report} subject={subject} repeat={repeat} />
      <Passages now={output?.passages} before={old?.passages} relevant={subject.relevant} />
      <ToolCalls now={output?.tool_calls} before={old?.tool_calls} />
      <Waterfall key={repeat} spans={subject.spans.filter((span) => span.repeat === repeat)} />
    </article>
  );
}

const Facts = ({ report, subject }) => (
  <p class="facts">
    <Status of={subject.status} />
    <Since history={report.history} id={subject.id} />
    {subject.new && <span class="label">new</span>}
    {subject.live && <span class="label">live</span>}
    {subject.tags.map((tag) => (
      <span class="label">@{short(tag, 40)}</span>
    ))}
    {subject.group && <span class="dim">group {short(subject.group, 60)}</span>}
    {report.columns.map(
      ({ title, of }) =>
        of[subject.id] && (
          <span class="dim">
            {short(title, 40)} {short(of[subject.id], 60)}
          </span>
        ),
    )}
    {subject.source && <code>{short(subject.source)}</code>}
  </p>
);

const Failures = ({ of: failures }) =>
  failures.length > 0 && (
    <section>
      <h2>What broke</h2>
      {failures.map(({ metric, stage, error, repeat, traceback }) => (
        <div class="failure">
          <p>
            <b>
              <Text of={error} />
            </b>
            <small class="dim">
              in {short(metric || stage || "the app", 60)}, repeat {repeat + 1}
            </small>
          </p>
          {traceback && (
            <details>
              <summary>Traceback</summary>
              <Code of={traceback} />
            </details>
          )}
        </div>
      ))}
    </section>
  );

const Repeats = ({ of: repeats, chosen, choose }) => (
  <p class="repeats" role="group" aria-label="Repeat">
    <span>Repeat</span>
    {repeats.map((repeat) => (
      <button type="button" aria-pressed={repeat === chosen} onClick={() => choose(repeat)}>
        {repeat + 1}
      </button>
    ))}
  </p>
);
