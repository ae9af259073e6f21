// The files that changed since the baseline, each with its commits and lines.
import { Lines, short } from "./text.jsx";
import { counted } from "./number.js";

export const ChangedFiles = ({ of: files }) =>
  files.length > 0 && (
    <section>
      <h2>Changed since the baseline</h2>
      {files.map(({ path, commits, newest, difference }) => (
        <details>
          <summary>
            <code>{short(path)}</code>{" "}
            <span class="dim">{commits ? counted(commits, "commit") : "not committed"}</span>
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
