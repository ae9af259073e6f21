import { Case } from "./case.jsx";
import { Overview } from "./overview.jsx";
import { isRed } from "./status.jsx";

/** What is printed: the overview and every red case. */
export const Paper = ({ report }) => (
  <main class="paper">
    <Overview report={report} />
    {report.cases.filter(isRed).map((subject) => (
      <Case key={subject.id} report={report} subject={subject} />
    ))}
  </main>
);
