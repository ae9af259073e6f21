// The files that changed since the baseline, each with its commits and lines.
import { Lines, short } from "./text.jsx";
import { counted } from "./number.js";

export const ChangedFiles = ({ of: files }) =>
  files.length > 0 && (
    <section>
      <h2>Changed since the baseline</h2>
      {files.map(({ path, commits, is_edited, newest, difference }) => (
        <details>
          <summary>
            <code>{short(path)}</code>{" "}
            <span class="dim">{[commits > 0 && counted(commits, "commit"), is_edited && "not committed"].filter(Boolean).join(" and ")}</span>
          </summary>
          {newest.length > 0 && (
            <ul class="plain">
              {newest.map((commit) => (
                <li>{short(commit)}</li>
              ))}
            </ul>
          )}
          <Lines of={difference} />
        </details>
      ))}
    </section>
  );
