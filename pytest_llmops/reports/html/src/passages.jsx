// What was retrieved, in order, and what became of it since the baseline.
import { figure, isNumber } from "./number.js";
import { Prose, short } from "./text.jsx";

export function Passages({ now = [], before, relevant }) {
  const old = (before ?? []).map(({ id }) => id);
  const ids = now.map(({ id }) => id);
  const lost = (before ?? []).filter(({ id }) => !ids.includes(id));
  const unfound = relevant.filter((id) => !ids.includes(id) && !old.includes(id));
  if (!now.length && !lost.length && !unfound.length) return null;

  const fate = (id, place) => {
    if (!before) return null;
    const was = old.indexOf(id);
    if (was < 0) return <span class="label came">new</span>;
    return was !== place && <span class="dim">was {was + 1}</span>;
  };
  const passage = (place, { id, text, score }, note) => (
    <details>
      <summary>
        <span class="place">{place}</span>
        <code>{short(id)}</code>
        {relevant.includes(id) && <span class="label relevant">relevant</span>}
        {note}
        {isNumber(score) && <span class="dim">{figure(score)}</span>}
      </summary>
      <Prose of={text} />
    </details>
  );
  return (
    <section>
      <h2>Passages</h2>
      <div class="passages">
        {now.map((item, i) => passage(i + 1, item, fate(item.id, i)))}
        {lost.map((item) => passage("–", item, <span class="label gone">gone</span>))}
      </div>
      {unfound.length > 0 && (
        <p>
          Relevant, found neither now nor in the baseline:{" "}
          {unfound.map((id) => (
            <code>{short(id)} </code>
          ))}
        </p>
      )}
    </section>
  );
}
