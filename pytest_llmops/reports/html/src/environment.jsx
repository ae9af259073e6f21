// Where and when the run was made.
import { short } from "./text.jsx";

export function Environment({ of: { ended, revision, branch, job, url } }) {
  const isWeb = /^https?:\/\//i.test(url);
  const rows = [
    ["Ended", moment(ended)],
    ["Branch", branch && <code>{short(branch)}</code>],
    ["Revision", revision && <code>{short(revision, 40)}</code>],
    ["", revision.endsWith("+") && "with changes that are not committed"],
    [
      "Job",
      isWeb ? (
        <a href={url} rel="noreferrer">
          {short(job || url)}
        </a>
      ) : (
        short(job || url)
      ),
    ],
  ].filter(([, value]) => value);
  if (!rows.length) return null;
  return (
    <section>
      <h2>Run</h2>
      <dl>
        {rows.map(([name, value]) => (
          <>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </>
        ))}
      </dl>
    </section>
  );
}

function moment(written) {
  const date = new Date(written);
  if (Number.isNaN(date.getTime())) return short(written);
  return `${date.toISOString().slice(0, 16).replace("T", " ")} UTC`;
}
