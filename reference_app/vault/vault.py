"""Tokens in place of personal data, and the way back for an investigator."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from reference_app.errors import OpeningRefusedError, VaultError
from reference_app.guardrails.redaction import replace
from reference_app.vault.access import Actor
from reference_app.vault.audit import Action, AuditLog, Entry
from reference_app.vault.files import locked
from reference_app.vault.keys import MasterKey, make_data_key, read_master_key
from reference_app.vault.store import Keys, Record, Store, WrappedKey
from reference_app.vault.tokens import SECRETS, TOKENS, make_token, normalise

if TYPE_CHECKING:
    from reference_app.vault.access import VaultSettings

MAX_ATTEMPTS = 64
LOCK = ".lock"
Clock = Callable[[], datetime]


def _now() -> datetime:
    return datetime.now(UTC)


class Vault:
    """
    Gives tokens for values and opens them; may be used from many threads and processes.

    Equal values have equal tokens while the first of them is kept. Each operation reads the files anew, so
    that what another process purged is gone here too.
    """

    def __init__(self, settings: VaultSettings, clock: Clock = _now) -> None:
        """`clock` says what day a value is kept under."""
        self.settings = settings
        self.store = Store(settings.folder)
        self.audit = AuditLog(settings)
        self.clock = clock

    def tokenise(self, kind: str, value: str) -> str:
        """
        The token of a value, which is kept where it is new; of a secret, such as a password, its mask.

        Raises:
            VaultError: The vault cannot be used; the value must not be passed on.
        """
        if kind in SECRETS:
            return f"[{kind}]"
        master = self.master_key()
        with self.locked():
            keys = self.store.read_keys() or self._create(master)
            master.check(keys.master)
            records = {day: self.store.read_records(day) for day in self.store.list_periods()}
            return _find_token(master, keys, records, kind, value) or self._keep(
                master, keys, records, kind, value
            )

    def redact(self, text: str) -> str:
        """The text with tokens in place of personal data; raises as `tokenise` does."""
        return replace(text, self.tokenise)

    def open(self, token: str, *, reason: str, actor: Actor | None = None) -> str:
        """
        The value of a token; the opening is in the log before it is returned.

        Args:
            token: As `tokenise` returned it.
            reason: Why it is opened, for the log.
            actor: Who opens it; None for the one that the settings name.

        Raises:
            OpeningRefusedError: The role may not, the token is unknown, or it was purged; this is logged too.
            VaultError: The key is wrong or a file is damaged; logged too.
            AuditError: The log is broken, so nothing is opened.
        """
        actor = actor or self.settings.actor
        self.audit.check()
        with self.locked(), self.audited("open", actor, reason) as entry:
            found = self.store.find(token)
            entry["token"] = token if found else None
            if actor.role != "investigator":
                raise OpeningRefusedError(
                    f"The role {actor.role} may not open tokens; an investigator may.", "refused: role"
                )
            if not reason.strip():
                raise OpeningRefusedError("An opening needs a reason.", "refused: no reason")
            if found is None:
                raise OpeningRefusedError("The vault does not know this token.", "refused: unknown token")
            value = self._unseal(*found)
            entry["outcome"] = "opened"
        return value

    def reveal(self, text: str, *, reason: str, actor: Actor | None = None) -> str:
        """
        A text with the value in place of each token of the vault; raises as `open` does.

        What only looks like a token stays as it is.
        """
        tokens = {found[0] for found in TOKENS.finditer(text)}
        values = {
            token: self.open(token, reason=reason, actor=actor)
            for token in sorted(tokens)
            if self.knows(token)
        }
        return TOKENS.sub(lambda found: values.get(found[0], found[0]), text)

    def knows(self, token: str) -> bool:
        """Whether a text is a token of this vault, purged ones included; needs no key."""
        with self.locked():
            return self.store.find(token) is not None

    def master_key(self) -> MasterKey:
        return read_master_key(self.settings.key)

    def locked(self) -> AbstractContextManager[None]:
        """Keep other processes and threads out."""
        return locked(self.settings.folder, LOCK)

    @contextmanager
    def audited(self, action: Action, actor: Actor, reason: str) -> Iterator[dict[str, str | None]]:
        """Log what the block ends in; it sets `token`, `key` and `outcome`. A failure is logged as well."""
        entry: dict[str, str | None] = {"token": None, "key": None, "outcome": "failed"}
        try:
            yield entry
        except VaultError as error:
            entry["outcome"] = error.outcome
            raise
        finally:
            if self.store.keys_path.exists() or self.audit.path.exists():
                self.audit.append(
                    Entry(
                        actor=actor,
                        action=action,
                        reason=reason,
                        token=entry["token"],
                        key=entry["key"],
                        outcome=entry["outcome"] or "failed",
                    )
                )

    def _create(self, master: MasterKey) -> Keys:
        actor = self.settings.actor
        self.audit.append(Entry(actor=actor, action="create", key=master.id, outcome="created"), starts=True)
        keys = Keys(master=master.id, periods={})
        self.store.write_keys(keys)
        return keys

    def _keep(
        self, master: MasterKey, keys: Keys, records: dict[str, dict[str, Record]], kind: str, value: str
    ) -> str:
        day = self.clock().astimezone(UTC).date().isoformat()
        if day not in keys.periods:
            made = make_data_key()
            keys = keys.put(day, WrappedKey(id=made.id, wrapped=master.wrap(made, day)))
            self.store.write_keys(keys)
        key = master.unwrap(keys.periods[day].wrapped, day, keys.periods[day].id)
        taken = {token for period in records.values() for token in period}
        for attempt in range(MAX_ATTEMPTS):
            token = make_token(kind, value, key.token_secret, attempt)
            if token not in taken:
                break
        else:
            raise VaultError(f"The vault has no free token for a value of the kind {kind}; purge old ones.")
        record = Record(token=token, kind=kind, sealed=key.seal(value, f"{day}/{kind}/{token}"))
        self.store.write_records(day, [*records.get(day, {}).values(), record])
        return token

    def _unseal(self, day: str, record: Record) -> str:
        master = self.master_key()
        keys = self.store.read_keys()
        if keys is None:
            raise VaultError("The vault has no keys.json; restore it from a copy.", "failed: damaged")
        master.check(keys.master)
        if record.sealed is None or day not in keys.periods:
            raise OpeningRefusedError(
                f"The data key of {day} was destroyed, so this token can no longer be opened.",
                "refused: purged",
            )
        key = master.unwrap(keys.periods[day].wrapped, day, keys.periods[day].id)
        return key.unseal(record.sealed, f"{day}/{record.kind}/{record.token}")


def _find_token(
    master: MasterKey, keys: Keys, records: dict[str, dict[str, Record]], kind: str, value: str
) -> str | None:
    """The token that an equal value has already."""
    for day, wrapped in sorted(keys.periods.items()):
        key = master.unwrap(wrapped.wrapped, day, wrapped.id)
        for attempt in range(MAX_ATTEMPTS):
            token = make_token(kind, value, key.token_secret, attempt)
            record = records.get(day, {}).get(token)
            if record is None:
                if any(token in period for period in records.values()):
                    continue  # another day's; the value may have got the next one
                break
            if record.kind == kind and record.sealed is not None:
                kept = key.unseal(record.sealed, f"{day}/{kind}/{token}")
                if normalise(kind, kept) == normalise(kind, value):
                    return token
    return None
