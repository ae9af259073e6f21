// The first view: what broke, why, in which cases, and what to do.
import { Checks } from "./checks.jsx";
import { Command } from "./copy.jsx";
import { Environment } from "./environment.jsx";
import { whyOf } from "./measures.js";
import { counted } from "./number.js";
import { Outcome } from "./outcome.jsx";
import { Since } from "./past.jsx";
import { address, caseAddress } from "./route.js";
import { useShown } from "./shown.jsx";
import { Icon, isRed, rank } from "./status.jsx";
import { CaseName, Prose, short, Text } from "./text.jsx";
import { Usage } from "./usage.jsx";

export const Overview = ({ report }) => (
  <>
    <Outcome report={report} />
    <div class="columns">
      <div>
        <Sentences title="Likely cause" of={report.causes} strong />
        <Sentences title="Problems of the run" of={report.problems} />
        <Broken report={report} />
      </div>
      <div>
        <Actions of={report.actions} />
        <Sentences title="May differ, too" of={report.unstamped} />
      </div>
    </div>
    <Checks report={report} />
    <div class="columns">
      <Usage now={report.usage} before={report.usage_before} />
      <Environment of={report.environment} />
    </div>
    <Absent title="In the baseline, not in this run" of={report.missing} />
    {report.panels.map(({ title, text }) => (
      <section>
        <h2>{short(title)}</h2>
        <Prose of={text} />
      </section>
    ))}
  </>
);

function Sentences({ title, of: sentences, strong }) {
  const [shown, more] = useShown(sentences, 8, "line");
  return (
    sentences.length > 0 && (
      <section>
        <h2>{title}</h2>
        <ul class={strong ? "sentences strong" : "sentences"}>
          {shown.map((sentence) => (
            <li dir="auto">
              <Text of={sentence} />
            </li>
          ))}
        </ul>
        {more}
      </section>
    )
  );
}

const FIRST = 10;

function Broken({ report }) {
  const red = report.cases.filter(isRed).sort((a, b) => rank(a.status) - rank(b.status));
  if (!red.length) return null;
  return (
    <section>
      <h2>Newly failing cases</h2>
      <ul class="broken">
        {red.slice(0, FIRST).map((subject) => (
          <li>
            <Icon status={subject.status} />
            <span class="unseen">{short(subject.status)} </span>
            <a href={caseAddress(subject.id, { q: "s:red" })}>
              <CaseName id={subject.id} />
            </a>
            <Since history={report.history} id={subject.id} />
            <p dir="auto">{short(whyOf(subject), 240)}</p>
          </li>
        ))}
      </ul>
      {red.length > FIRST && <a href={address("cases", { q: "s:red" })}>All {counted(red.length, "red case")}</a>}
    </section>
  );
}

const Actions = ({ of: actions }) =>
  actions.length > 0 && (
    <section>
      <h2>What to do</h2>
      <ol class="actions">
        {actions.map(({ text, command }, i) => (
          <li>
            <Text of={text} />
            {command && <Command of={command} shortcut={i === 0 && "y"} />}
          </li>
        ))}
      </ol>
    </section>
  );

function Absent({ title, of: ids }) {
  const [shown, more] = useShown(ids, 12, "case");
  return (
    ids.length > 0 && (
      <section>
        <h2>{title}</h2>
        <ul class="plain">
          {shown.map((id) => (
            <li>
              <CaseName id={id} />
            </li>
          ))}
        </ul>
        {more}
      </section>
    )
  );
}
