import { useKeys } from "./keyboard.js";
import { address, caseAddress, go } from "./route.js";
import { short } from "./text.jsx";

/** The way to the cases before and after this one, within the filter that the reader came with. */
export function Neighbours({ of: subject, among, query }) {
  const at = among.indexOf(subject);
  const to = (other) => other && caseAddress(other.id, query);
  const previous = to(among[at - 1]);
  const next = to(among[at + 1]);
  useKeys({ k: () => previous && go(previous), j: () => next && go(next) });
  const asked = query.q ? <code>{short(query.q, 60)}</code> : "all cases";
  return (
    <nav class="neighbours control" aria-label="Neighbouring cases">
      <a href={address("cases", { q: query.q, sort: query.sort })}>
        {at < 0 ? "Not in" : `${at + 1} of ${among.length} in`} {asked}
      </a>
      {previous && <a href={previous}>← Previous</a>}
      {next && <a href={next}>Next →</a>}
    </nav>
  );
}
