import { EXAMPLES } from "./filter.js";

const KEYS = [
  ["j k", "next, previous case"],
  ["[ ]", "previous, next repeat"],
  ["/", "filter the cases"],
  ["g o", "overview"],
  ["g c", "cases"],
  ["g h", "history"],
  ["y", "copy the first command"],
  ["Esc", "close, or back"],
  ["?", "this help"],
];

const FILTERS = [
  [EXAMPLES.join(" "), "a status (red: failed, regressed or error), or a trait"],
  ["@policy", "a tag"],
  ["file:support", "part of the file’s name"],
  ["metric:semantic<0.5", "the mean of a metric: < <= > >= ="],
  ['refund "two words"', "text in the id, input or output"],
  ["-@policy", "not so; words without - must all hold"],
];

export const Help = ({ dialog }) => (
  <dialog ref={dialog} aria-labelledby="help-title">
    <h2 id="help-title">Keys</h2>
    <Terms of={KEYS} />
    <h2>Filters</h2>
    <Terms of={FILTERS} />
    <form method="dialog">
      <button>Close</button>
    </form>
  </dialog>
);

const Terms = ({ of: terms }) => (
  <dl class="terms">
    {terms.map(([term, meaning]) => (
      <>
        <dt>
          <kbd>{term}</kbd>
        </dt>
        <dd>{meaning}</dd>
      </>
    ))}
  </dl>
);
