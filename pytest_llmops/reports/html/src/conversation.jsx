// The turns of a conversation in one repeat, each with the checks that it misses; and how a simulated user ended it.
import { Prose, short } from "./text.jsx";

export const Conversation = ({ of: turns, user }) =>
  turns.length > 0 && (
    <section>
      <h2>Conversation</h2>
      <ol class="transcript">
        {turns.map(({ turn, user, text, missed }) => (
          <>
            <li>
              <b>{turn} user</b>
              <Prose of={user} />
            </li>
            <li>
              <b>app</b>
              <div>
                <Prose of={text} />
                {missed.map((check) => (
                  <span class="label gone">{short(check, 80)}</span>
                ))}
              </div>
            </li>
          </>
        ))}
      </ol>
      {user && (
        <p class="dim">
          ended: {user.ended} (user: {user.model})
        </p>
      )}
    </section>
  );
