// A list of cases, however long: only what is in sight is laid out.
import { useEffect, useRef, useState } from "preact/hooks";
import { columnsOf } from "./columns.js";
import { useKeys } from "./keyboard.js";
import { whyOf } from "./measures.js";
import { caseAddress } from "./route.js";
import { Status } from "./status.jsx";
import { CaseName, short } from "./text.jsx";

const HEIGHT = 56; // of a case in the list, the same in report.css
const MARGIN = 6; // cases laid out above and below those in sight

/** `from` is the case that the reader comes back from. */
export function WindowedCases({ report, cases, query, from }) {
  const list = useRef();
  const [{ first, end }, setWindow] = useState({ first: 0, end: 30 });
  const cursor = useRef(cases.findIndex(({ id }) => id === from));

  const look = () => {
    if (!list.current) return; // a scroll as the view was left
    const above = Math.floor(-list.current.getBoundingClientRect().top / HEIGHT);
    const start = Math.max(0, above - MARGIN);
    setWindow({ first: start, end: above + Math.ceil(innerHeight / HEIGHT) + MARGIN });
  };
  const focus = () => {
    const top = list.current.getBoundingClientRect().top + cursor.current * HEIGHT;
    if (top < 120) scrollBy(0, top - 120);
    if (top > innerHeight - 2 * HEIGHT) scrollBy(0, top - innerHeight / 2);
    look();
    // The case is laid out by then.
    requestAnimationFrame(() =>
      list.current?.querySelector(`[aria-posinset="${cursor.current + 1}"] a`)?.focus({ preventScroll: true }),
    );
  };
  const move = (step) => {
    cursor.current = Math.min(cases.length - 1, Math.max(0, cursor.current + step));
    focus();
  };
  useKeys({ j: () => move(1), k: () => move(-1) });
  useEffect(() => {
    look();
    if (cursor.current >= 0 && document.activeElement.matches("body, h1")) focus();
    addEventListener("scroll", look, { passive: true });
    addEventListener("resize", look);
    return () => {
      removeEventListener("scroll", look);
      removeEventListener("resize", look);
    };
  }, []);

  const columns = columnsOf(report, query.sort);
  const template = { "--columns": `7.5rem minmax(0, 1fr) ${columns.map(({ width }) => width).join(" ")}` };
  return (
    <>
      <div class="case-line heads" style={template} aria-hidden="true">
        <span>Status</span>
        <span>Case</span>
        {columns.map(({ title, kind }) => (
          <span class={kind}>{short(title, 40)}</span>
        ))}
      </div>
      <ul class="cases" ref={list} style={{ height: `${cases.length * HEIGHT}px` }}>
        {cases.slice(first, end).map((subject, i) => (
          <li
            key={subject.id}
            aria-setsize={cases.length}
            aria-posinset={first + i + 1}
            style={{ top: `${(first + i) * HEIGHT}px` }}
            onFocusIn={() => (cursor.current = first + i)}
          >
            <a class="case-line" style={template} href={caseAddress(subject.id, query)}>
              <Status of={subject.status} />
              <span class="what">
                <CaseName id={subject.id} />
                <span class="dim">{short(whyOf(subject) || asked(subject.input), 200)}</span>
              </span>
              {columns.map(({ title, kind, of }) => (
                <span class={kind}>
                  <span class="unseen">{short(title, 40)} </span>
                  {of(subject)}
                </span>
              ))}
            </a>
          </li>
        ))}
      </ul>
    </>
  );
}

const asked = (input) => (typeof input === "string" ? input : JSON.stringify(input));
