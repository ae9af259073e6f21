// The frame of the page: the header with the views, the view that the route names, and the keys of the whole page.
import { useLayoutEffect, useMemo, useRef } from "preact/hooks";
import { Case } from "./case.jsx";
import { CaseList } from "./case-list.jsx";
import { Help } from "./help.jsx";
import { History } from "./history.jsx";
import { useKeys } from "./keyboard.js";
import { Neighbours } from "./neighbours.jsx";
import { Overview } from "./overview.jsx";
import { address, go, useRoute } from "./route.js";
import { select } from "./selection.js";
import { Icon, tone } from "./status.jsx";
import { plainLine, short } from "./text.jsx";

export function App({ report }) {
  const [route, ask] = useRoute();
  const { id, query } = route;
  const hasHistory = report.history.length > 1;
  const view = route.view === "history" && !hasHistory ? "overview" : route.view;
  const selection = useMemo(() => select(report, query), [report, query.q, query.sort]);
  const help = useRef();
  const lastCase = useRef("");
  const subject = view === "case" && report.cases.find((other) => other.id === id);
  if (subject) lastCase.current = id;

  const cases = address("cases", { q: query.q, sort: query.sort });
  useKeys({
    "g o": () => go(address("overview")),
    "g c": () => go(cases),
    "g h": () => hasHistory && go(address("history")),
    "?": () => help.current.showModal(),
    Escape: () => view !== "overview" && go(subject ? cases : address("overview")),
  });
  useArrival(`${view}/${id}`, subject ? id : report.title);

  const link = (name, to, text) => (
    <a href={to} aria-current={view === name ? "page" : undefined}>
      {text}
    </a>
  );
  return (
    <>
      <header>
        <a class={`title ${tone(report.outcome)}`} href={address("overview")}>
          <Icon status={report.outcome} />
          <span>{short(report.title) || "golden"}</span>
        </a>
        <nav aria-label="Views">
          {link("overview", address("overview"), "Overview")}
          {link(
            "cases",
            cases,
            <>
              Cases <small>{report.cases.length.toLocaleString("en")}</small>
            </>,
          )}
          {hasHistory && link("history", address("history"), "History")}
        </nav>
        <button type="button" class="control" onClick={() => help.current.showModal()}>
          ?<span class="unseen"> Help: keys and filters</span>
        </button>
      </header>
      <main>
        {view === "overview" && <Overview report={report} />}
        {view === "cases" && (
          <CaseList report={report} selection={selection} query={query} ask={ask} from={lastCase.current} />
        )}
        {view === "history" && <History report={report} />}
        {subject && (
          <>
            <Neighbours of={subject} among={selection.cases} query={query} />
            <Case key={id} report={report} subject={subject} repeat={query.repeat} ask={ask} />
          </>
        )}
        {view === "case" && !subject && (
          <>
            <h1 tabIndex={-1}>No such case</h1>
            <p>
              This run has no case <code>{short(id)}</code>. <a href={cases}>See all cases</a>.
            </p>
          </>
        )}
      </main>
      <footer>{short(report.made_by)}</footer>
      <Help dialog={help} />
    </>
  );
}

/** Says where the reader arrived: at the top, in the title, and with the focus for a screen reader. */
function useArrival(place, title) {
  const first = useRef(true);
  useLayoutEffect(() => {
    document.title = plainLine(title, 80);
    if (!first.current) {
      scrollTo(0, 0);
      document.querySelector("h1").focus({ preventScroll: true });
    }
    first.current = false;
  }, [place]);
}
