// The first view: what broke, why, in which cases, and what to do.
import { ChangedFiles } from "./changed-files.jsx";
import { Checks } from "./checks.jsx";
import { Command } from "./copy.jsx";
import { Environment } from "./environment.jsx";
import { whyOf } from "./measures.js";
import { counted } from "./number.js";
import { Outcome } from "./outcome.jsx";
import { Since } from "./past.jsx";
import { address, caseAddress } from "./route.js";
import { useShown } from "./shown.jsx";
import { select } from "./selection.js";
import { Icon } from "./status.jsx";
import { CaseName, Prose, short, Text } from "./text.jsx";
import { Usage } from "./usage.jsx";

export const Overview = ({ report }) => (
  <>
    <Outcome report={report} />
    <div class="columns">
      <div>
        <Sentences title="Likely cause" of={report.causes} strong />
        <Sentences title="About the run" of={report.problems} />
        <CaseLinks title={report.baseline ? "Newly failing cases" : "Failing cases"} filter="s:red" report={report} />
        <CaseLinks title="Passed by their own checks, and named by one over all cases" filter="is:dropped" report={report} />
      </div>
      <div>
        <Actions of={report.actions} />
        <Sentences title="May differ, too" of={report.unstamped} />
      </div>
    </div>
    <ChangedFiles of={report.changed_files} />
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

/** The first cases that the filter leaves, worst first, each with the reason. */
function CaseLinks({ title, filter, report }) {
  const { cases } = select(report, { q: filter });
  return (
    cases.length > 0 && (
      <section>
        <h2>{title}</h2>
        <ul class="broken">
          {cases.slice(0, FIRST).map((subject) => (
            <li>
              <Icon status={subject.status} />
              <span class="unseen">{short(subject.status)} </span>
              <a href={caseAddress(subject.id, { q: filter })}>
                <CaseName id={subject.id} />
              </a>
              <Since history={report.history} id={subject.id} />
              <p dir="auto">{short(whyOf(subject), 240)}</p>
            </li>
          ))}
        </ul>
        {cases.length > FIRST && <a href={address("cases", { q: filter })}>All {counted(cases.length, "case")}</a>}
      </section>
    )
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
