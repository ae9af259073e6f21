// A value of any kind: a text as it is, a list of messages as a transcript, all else as JSON.
import { Code, Prose, short } from "./text.jsx";

const isTranscript = (value) =>
  Array.isArray(value) && value.length > 0 && value.every((message) => message?.role && "content" in message);

export function Value({ of: value }) {
  if (typeof value === "string") return <Prose of={value} />;
  if (isTranscript(value)) return <Transcript of={value} />;
  return <Code of={JSON.stringify(value, null, 2)} />;
}

const Transcript = ({ of: messages }) => (
  <ol class="transcript">
    {messages.map(({ role, content, ...rest }) => (
      <li>
        <b>{short(String(role), 40)}</b>
        <div>
          {content != null && <Value of={content} />}
          {Object.keys(rest).length > 0 && <Value of={rest} />}
        </div>
      </li>
    ))}
  </ol>
);

/** Names and values: a table, as long as it is an object. */
export const Fields = ({ of: fields }) =>
  fields && typeof fields === "object" && !Array.isArray(fields) ? (
    <dl class="fields">
      {Object.entries(fields).map(([name, value]) => (
        <>
          <dt>{short(name, 80)}</dt>
          <dd>
            <Value of={value} />
          </dd>
        </>
      ))}
    </dl>
  ) : (
    <Value of={fields} />
  );
