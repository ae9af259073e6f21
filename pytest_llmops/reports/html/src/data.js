// The data of the report. Each shape below names its fields and how each is read, so that every field is there
// afterwards, of its kind, whatever was missing. No view has to ask.

const text = (value) => {
  if (value == null) return "";
  const written = typeof value === "string" ? value : JSON.stringify(value);
  // encodeURIComponent throws at a lone surrogate.
  return written.toWellFormed?.() ?? written;
};
const number = (value) => (Number.isFinite(value) ? value : null);
const count = (value) => number(value) ?? 0;
const anything = (value) => value ?? null;
const list = (read) => (value) => (Array.isArray(value) ? value.filter((item) => item != null).map(read) : []);
const map = (read) => (value) => {
  const items = Object.entries(Object(value)).map(([key, item]) => [text(key), read(item)]);
  // Without a prototype: no name of the data finds "constructor" in it.
  return Object.setPrototypeOf(Object.fromEntries(items), null);
};
const optional = (read) => (value) => (value == null ? null : read(value));
const shape = (fields) => {
  const readers = Object.entries(fields);
  return (value) => Object.fromEntries(readers.map(([name, read]) => [name, read(Object(value)[name])]));
};

const usage = shape({
  calls: number,
  replayed: number,
  failed: number,
  prompt_tokens: number,
  completion_tokens: number,
  cost_usd: number,
  latency_s: number,
});

const passage = shape({ id: text, text: text, score: number });
const toolCall = shape({ name: text, arguments: anything, decision: text, result: anything });

const verdictFields = {
  check: text,
  metric: text,
  outcome: text,
  known: Boolean,
  xfail: text,
  observed: number,
  baseline: number,
  difference: number,
  interval: optional(list(number)),
  threshold: number,
  comparison: text,
  reason: text,
  advice: text,
};
const verdict = shape({ ...verdictFields, p_value: number });
const suiteCheck = shape({ ...verdictFields, cases: number, max_drop: number });

const output = shape({
  repeat: count,
  text: text,
  passages: list(passage),
  tool_calls: list(toolCall),
  usage: usage,
  latency_s: number,
  model: text,
  degraded: text,
  attempts: number,
  marks: list(shape({ text: text, metric: text, reason: text })),
});

const turn = shape({ repeat: count, turn: count, user: text, text: text, missed: list(text) });

const span = shape({
  repeat: count,
  span_id: text,
  parent_id: text,
  name: text,
  kind: text,
  start: count,
  end: count,
  status: text,
  attributes: map(anything),
  events: list(shape({ name: text, attributes: map(anything) })),
  tokens: number,
  cost_usd: number,
});

const goldenCase = shape({
  id: text,
  status: text,
  tags: list(text),
  group: text,
  source: text,
  new: Boolean,
  dropped: Boolean,
  live: Boolean,
  input: anything,
  reference: text,
  relevant: list(text),
  verdicts: list(verdict),
  outputs: list(output),
  before: optional(shape({ outputs: list(output), scores: map(list(number)) })),
  scores: list(shape({ metric: text, repeat: count, value: number, reason: text })),
  failures: list(shape({ metric: text, stage: text, error: text, repeat: count, traceback: text })),
  turns: list(turn),
  spans: list(span),
  command: text,
});

const report = shape({
  title: text,
  made_by: text,
  outcome: text,
  baseline: text,
  accepted: text,
  changed_files: list(shape({ path: text, commits: count, is_edited: Boolean, newest: list(text), difference: text })),
  environment: shape({ ended: text, revision: text, branch: text, job: text, url: text }),
  counts: shape({
    regressed: count,
    failed: count,
    error: count,
    undecided: count,
    known: count,
    xfailed: count,
    xpassed: count,
    passed: count,
  }),
  causes: list(text),
  unstamped: list(text),
  problems: list(text),
  actions: list(shape({ text: text, command: text })),
  usage: usage,
  usage_before: optional(usage),
  checks: list(suiteCheck),
  metrics: map(shape({ higher_is_better: (value) => value !== false, range: optional(list(number)) })),
  cases: list(goldenCase),
  missing: list(text),
  history: list(
    shape({
      name: text,
      ended: text,
      revision: text,
      outcome: text,
      cost_usd: number,
      latency_s: number,
      checks: map(number),
      cases: map(number),
    }),
  ),
  columns: list(shape({ title: text, of: map(text) })),
  panels: list(shape({ title: text, text: text })),
});

/** The report that stands in the page. Throws an Error with a sentence for the reader where there is none. */
export async function readReport() {
  if (!globalThis.DecompressionStream) {
    throw new Error("This browser cannot unpack the report. Open it in a browser of 2023 or later.");
  }
  let data;
  try {
    data = await unpack(document.getElementById("data").textContent.trim());
  } catch {
    throw new Error("The data of this report is damaged: the file may have been cut short. Download it again.");
  }
  if (data?.version !== 1) {
    throw new Error(`This page reads data of version 1. The data has version ${text(data?.version) || "unknown"}.`);
  }
  return report(data);
}

function unpack(base64) {
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).json();
}
