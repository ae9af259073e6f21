"""Tokens in place of personal data, and the way back for an investigator."""

from __future__ import annotations

import hmac
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta

from cryptography.fernet import Fernet, InvalidToken

from reference_app.errors import AuditError, OpeningRefusedError, VaultError
from reference_app.guardrails.redaction import replace
from reference_app.printable import counted
from reference_app.vault import audit
from reference_app.vault.access import VaultSettings, check_private, read_master_key
from reference_app.vault.tokens import TOKENS, make_token

SECRETS = frozenset({"key", "token", "password"})  # kinds that are masked and never kept
DIGITS = frozenset({"phone", "card", "account", "id"})  # kinds that are compared without what divides digits
# Values and keys are in separate files, so that a copy of the values opens nothing once their key is gone.
VALUES, KEYS = "vault.db", "keys.db"
SCHEMA = f"""
PRAGMA secure_delete = ON;
CREATE TABLE IF NOT EXISTS main.tokens (token PRIMARY KEY, key, fingerprint UNIQUE, sealed);
CREATE TABLE IF NOT EXISTS keys.keys
  (id INTEGER PRIMARY KEY AUTOINCREMENT, subject, day, wrapped, UNIQUE (subject, day));
{audit.SCHEMA}"""


class Vault:
    """
    Gives tokens for values and opens them; may be used from many threads and processes.

    The data key of a subject and day encrypts a value, and the master key the data key. Deleting a data key
    deletes all that it encrypts, also in copies of the values.
    """

    def __init__(self, settings: VaultSettings, today: Callable[[], date] | None = None) -> None:
        """`today` returns the day under which values are kept, by default that of UTC."""
        self.settings = settings
        self.today = today or (lambda: datetime.now(UTC).date())

    def redact(self, text: str, subject: str = "") -> str:
        """Return the text with tokens in place of personal data; `subject` is such as `customer 7`."""
        return replace(text, lambda kind, value: self.tokenise(kind, value, subject))

    def tokenise(self, kind: str, value: str, subject: str = "") -> str:
        """Return the token of a value, the same one for equal values of a subject."""
        if kind in SECRETS:
            return f"[{kind}]"
        plain = "".join(filter(str.isalnum, value)) if kind in DIGITS else " ".join(value.split())
        text = f"{kind}/{plain.casefold()}".encode("utf-8", "surrogatepass")
        master, today = read_master_key(self.settings), self.today().isoformat()
        with self.database() as db:
            if row := db.execute("SELECT wrapped FROM keys.keys").fetchone():
                _decrypt(master, row[0])  # a wrong master key adds no key to those of the right one
            query = "SELECT id, wrapped, day FROM keys.keys WHERE subject = ? ORDER BY day"
            keys = db.execute(query, (subject,)).fetchall()
            for _, wrapped, _ in keys:
                fingerprint = hmac.digest(_decrypt(master, wrapped), text, "sha256")
                row = db.execute("SELECT token FROM tokens WHERE fingerprint = ?", (fingerprint,)).fetchone()
                if row:
                    return str(row[0])
            if not keys or keys[-1][2] != today:
                wrapped = master.encrypt(Fernet.generate_key())
                new = db.execute("INSERT INTO keys.keys VALUES (NULL, ?, ?, ?)", (subject, today, wrapped))
                keys.append((new.lastrowid, wrapped, today))
            key_id, secret = keys[-1][0], _decrypt(master, keys[-1][1])
            fingerprint = hmac.digest(secret, text, "sha256")
            for attempt in range(64):  # as long as the token is that of another value
                number = int.from_bytes(hmac.digest(fingerprint, b"%d" % attempt, "sha256"), "big")
                token = make_token(kind, number)
                sealed = Fernet(secret).encrypt(f"{token}/{value}".encode("utf-8", "surrogatepass"))
                row = (token, key_id, fingerprint, sealed)
                if db.execute("INSERT OR IGNORE INTO tokens VALUES (?, ?, ?, ?)", row).rowcount:
                    return token
        raise VaultError(f"The vault has no free token for a value of the kind {kind}.")

    def open(self, text: str, *, reason: str) -> str:
        """
        Return the text with the value in place of each token, once the opening and its reason are in the log.

        Raises:
            OpeningRefusedError: The role may not, no token is known, or one was deleted; logged too.
            VaultError: The key is wrong or a file is damaged; logged too.
            AuditError: The log was changed, so nothing is opened.
        """
        query = "SELECT token, sealed, wrapped FROM tokens LEFT JOIN keys.keys ON id = key WHERE token = ?"
        with self.database(check_log=True) as db:
            rows = [row for token in sorted(set(TOKENS.findall(text))) for row in db.execute(query, (token,))]
            try:
                values, failure = self._unlock(rows, reason), None
            except VaultError as error:
                values, failure = {}, error
            for token, *_ in rows or [(None,)]:
                outcome = failure.outcome if failure else "opened"
                audit.append(db, self.settings, "open", outcome, token, reason)
        if failure:
            raise failure
        return TOKENS.sub(lambda match: values.get(match[0], match[0]), text)

    def _unlock(self, rows: list[tuple[str, bytes, bytes]], reason: str) -> dict[str, str]:
        role, values = self.settings.role, {}
        if role != "investigator":
            raise OpeningRefusedError(f"A {role} may not open tokens; an investigator may.", "refused: role")
        if not reason.strip():
            raise OpeningRefusedError("An opening needs a reason.", "refused: no reason")
        if not rows:
            raise OpeningRefusedError("The vault does not know this token.", "refused: unknown token")
        master = read_master_key(self.settings)
        for token, sealed, wrapped in rows:
            if sealed is None or wrapped is None:
                raise OpeningRefusedError("The value of this token was deleted.", "refused: deleted")
            text = _decrypt(Fernet(_decrypt(master, wrapped)), sealed).decode("utf-8", "surrogatepass")
            if not text.startswith(f"{token}/"):
                raise VaultError("A value was moved to another token.", "failed: damaged")
            values[token] = text.removeprefix(f"{token}/")
        return values

    def erase(self, subject: str, *, reason: str) -> int:
        """Delete all values of a subject and return their number; raises as `purge` does."""
        query = "DELETE FROM keys.keys WHERE subject = ?"
        return self._delete("erase", query, subject, f"{subject}: {reason}")

    def purge(self, days: int, *, reason: str) -> int:
        """Delete the values of UTC days that ended so many days ago; raises VaultError or AuditError."""
        limit = (self.today() - timedelta(days=days)).isoformat()
        return self._delete("purge", "DELETE FROM keys.keys WHERE day < ?", limit, reason)

    def _delete(self, action: str, query: str, value: str, reason: str) -> int:
        with self.database(check_log=True) as db:
            keys = db.execute(query, (value,)).rowcount
            count = db.execute(  # the tokens stay, so that none is ever given to another value
                "UPDATE tokens SET sealed = NULL, fingerprint = NULL "
                "WHERE sealed NOT NULL AND key NOT IN (SELECT id FROM keys.keys)"
            ).rowcount
            if keys or action == "erase":
                outcome = f"destroyed: {counted(count, 'token')}"
                audit.append(db, self.settings, action, outcome, None, reason)
        return count

    @contextmanager
    def database(self, *, check_log: bool = False) -> Iterator[sqlite3.Connection]:
        """Open both files in one transaction, which other threads and processes wait for."""
        folder = self.settings.folder
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            check_private(folder)
            for path in (folder / VALUES, folder / KEYS):
                path.touch(mode=0o600)
                check_private(path)
        except OSError as error:
            raise VaultError(f"{folder} cannot be used: {error.strerror}.") from error
        db = sqlite3.connect(folder / VALUES, timeout=20, isolation_level=None)
        try:
            db.execute("ATTACH ? AS keys", (str(folder / KEYS),))
            db.executescript(SCHEMA)
            db.execute("BEGIN IMMEDIATE")
            if check_log and audit.find_faults(db):
                raise AuditError("The audit log was changed; `python -m reference_app vault log` says where.")
            yield db
            db.execute("COMMIT" if db.total_changes else "ROLLBACK")  # a commit of two files takes 30 ms
        except sqlite3.Error as error:
            raise VaultError(f"{folder} is damaged or locked: {error}.", "failed: damaged") from error
        finally:
            db.close()  # what was not committed is undone


def _decrypt(key: Fernet, data: bytes) -> bytes:
    try:
        return key.decrypt(data)
    except InvalidToken as error:
        message = "The vault has another key than REFERENCE_APP_VAULT_KEY, or its files were changed."
        raise VaultError(message, "failed: wrong key") from error
