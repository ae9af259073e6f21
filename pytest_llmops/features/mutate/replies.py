"""Other replies than those that the app's models gave: the mutants of the group `model`."""

from __future__ import annotations

import json
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pytest_llmops.errors import CassetteError, StopAppError
from pytest_llmops.features.mutate.reply_parts import (
    Parts,
    Tool,
    read_parts,
    write_reply,
    write_vectors,
)
from pytest_llmops.metrics.language import detect_language
from pytest_llmops.recorder.identity import LOOPBACK, Identity
from pytest_llmops.recorder.providers import WORDLESS

RUBBISH = "qzx 7 lorem 7 gruntle wib; wab 7 zzt <> vlim 7 7"
REFUSAL = "I'm sorry, but I can't help with that."

MUTE = frozenset({"empty", "rubbish", "refusal"})
"""Kinds that leave nothing of any reply."""

_EMBEDDINGS = "embeddings"
_UNCHANGED = WORDLESS | {"rerank", "moderations"}  # what is no text of a model
_RIVAL = "::rival"
_FEWEST_CALLS = 20
_TIMES_AS_MANY = 4
_PAUSE_S = 0.05
_PAIRS = (
    ("yes", "no"), ("true", "false"), ("ja", "nein"), ("wahr", "falsch"), ("oui", "non"), ("vrai", "faux"),
    ("sí", "no"), ("verdadero", "falso"), ("sì", "no"), ("vero", "falso"), ("sim", "não"), ("ja", "nee"),
    ("tak", "nie"), ("是", "否"), ("对", "不对"), ("可以", "不可以"), ("はい", "いいえ"), ("네", "아니요"),
)  # fmt: skip
_OPPOSITES = {word: other for pair in reversed(_PAIRS) for word, other in (pair, pair[::-1])}
_OF_LANGUAGE: Mapping[str, Mapping[str, str]] = {
    "es": {"no": "sí"},
    "it": {"no": "sì"},
    "nl": {"ja": "nee"},
}
"""Words whose opposite is another one than in the languages before."""

_VERDICTS = "|".join(sorted(map(re.escape, _OPPOSITES), key=len, reverse=True))
_YES_NO = re.compile(
    rf"""(?P<before>\A\W*|["'])(?P<word>{_VERDICTS})(?P<after>["']|(?!\w)(?=\s*(?:[.,;:!。\uff0c\uff01]|\Z)))""",
    re.IGNORECASE,
)
_LITERAL = re.compile(r"(?P<before>[:\[,]\s*)(?P<word>true|false)(?P<after>\s*[,}\]])", re.IGNORECASE)

Place = tuple[str, str]
"""Host and path."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A model call as the app made it, and the reply that it got."""

    identity: Identity
    nth: int
    content_type: str
    body: Any

    @property
    def place(self) -> Place:
        return self.identity.provider, self.identity.path

    @property
    def parts(self) -> Parts:
        return read_parts(self.identity.kind, self.body)


@dataclass(slots=True, eq=False)
class Replies:
    """
    Notes the replies of a run; afterwards gives mutants of them, so that no model is called.

    A request that only a mutated reply caused gets a mutant of the reply that the case got at the same place
    in its row of calls. Embeddings stay as they are: those of texts that were not asked for before are made
    where that costs nothing or is paid for by the budget.

    Attributes:
        kind: The kind of mutants that is given; None while replies are noted.
        may_embed: Whether an embedding of this provider may be made.
        changed: Cases whose app got a mutant. An app that keeps its models' answers may call none again.
        looped: Cases whose app called its model without end; it is ended, whatever `Exception` it handles.
        guessed: Cases whose app got an embedding of another text, or no reply since none is known.
    """

    kind: str | None = None
    may_embed: Callable[[str], bool] = lambda provider: provider == LOOPBACK
    changed: set[str] = field(default_factory=set)
    looped: set[str] = field(default_factory=set)
    guessed: set[str] = field(default_factory=set)
    _calls: dict[str, list[Known]] = field(default_factory=dict)
    _exact: dict[tuple[str, str, int], Known] = field(default_factory=dict)
    _asked: Counter[tuple[str, Place]] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self, kind: str) -> None:
        """From now on, give mutants of this kind."""
        with self._lock:
            self.kind = kind
            self._asked.clear()
            self.changed.clear()
            self.looped.clear()
            self.guessed.clear()

    def cases(self) -> list[str]:
        """Return the cases in which a model answered, embeddings apart."""
        return [case for case in sorted(self._calls) if any(self._chats(case))]

    def is_changed(self, case: str, kind: str) -> bool:
        """Return whether a kind changes any reply of the case."""
        chats = self._chats(case)
        numbers: Counter[Place] = Counter()
        for known in chats:
            number = numbers[known.place]
            numbers[known.place] += 1
            if self._mutate(case, kind, known, number) != known.parts:
                return True
        return False

    def note(self, case: str, repeat: int, identity: Identity, nth: int, reply: tuple[str, Any]) -> None:
        """Keep a reply of the first repeat in which its request was seen."""
        if self.kind is not None or case.endswith(_RIVAL):
            return
        content_type, body = reply
        known = Known(identity=identity, nth=nth, content_type=content_type, body=body)
        with self._lock:
            if (case, identity.key, nth) not in self._exact:
                self._exact[case, identity.key, nth] = known
                if not repeat:
                    self._calls.setdefault(case, []).append(known)

    def replace(self, case: str, repeat: int, identity: Identity, nth: int) -> tuple[str, Any] | None:  # noqa: ARG002 - as the recorder calls it
        if self.kind is None:
            return None
        if identity.kind in _UNCHANGED:
            return self._embed(case, identity, nth)
        place = (identity.provider, identity.path)
        with self._lock:
            number = self._asked[case, place]
            self._asked[case, place] += 1
        most = max(_FEWEST_CALLS, _TIMES_AS_MANY * len(self._chats(case)))
        if number >= most:
            self.looped.add(case)
            endless = f"the app called its model more than {most} times on mutated replies"
            if number > 2 * most:  # it handles the error and asks on
                time.sleep(_PAUSE_S)  # one that handles the other, too, or is another process
                raise StopAppError(endless)
            raise CassetteError(endless)
        known = self._exact.get((case, identity.key, nth)) or self._nearest(
            case, place, identity.kind, number
        )
        if known is None:
            self.guessed.add(case)
            raise CassetteError(
                f"no reply of {identity.provider}{identity.path} is known that could be changed"
            )
        parts = self._mutate(case, self.kind, known, number)
        if parts == known.parts and known.identity.key == identity.key:
            return known.content_type, known.body
        if parts != known.parts:
            self.changed.add(case)
        wants_stream = isinstance(identity.body, Mapping) and identity.body.get("stream") is True
        return write_reply(
            identity.kind, known.body, parts, stream=wants_stream, content_type=known.content_type
        )

    def _embed(self, case: str, identity: Identity, nth: int) -> tuple[str, Any] | None:
        if known := self._exact.get((case, identity.key, nth)):
            return known.content_type, known.body
        if self.may_embed(identity.provider):
            return None
        known = self._nearest(case, (identity.provider, identity.path), identity.kind, 0)
        self.guessed.add(case)
        if known is None or identity.kind != _EMBEDDINGS:
            raise CassetteError(f"no answer of {identity.provider}{identity.path} is known to this request")
        return known.content_type, write_vectors(known.body, identity.body)

    def _nearest(self, case: str, place: Place, kind: str, number: int) -> Known | None:
        """Return the reply of the same number in the case, else its last, else the last of any case."""
        own = [known for known in self._calls.get(case, ()) if known.place == place]
        if own:
            return own[min(number, len(own) - 1)]
        calls = [known for other in sorted(self._calls) for known in self._calls[other]]
        of_place = [known for known in calls if known.place == place and known.identity.kind == kind]
        return of_place[-1] if of_place else None

    def _chats(self, case: str) -> list[Known]:
        return [known for known in self._calls.get(case, ()) if known.identity.kind not in _UNCHANGED]

    def _mutate(self, case: str, kind: str, known: Known, number: int) -> Parts:
        if kind == "another_reply":
            return self._of_another(case, known, number)
        return mutate_parts(kind, known.parts)

    def _of_another(self, case: str, known: Known, number: int) -> Parts:
        """Return the reply of the same number in the next case that got another one there."""
        cases = sorted(self._calls)
        at = cases.index(case) if case in self._calls else 0
        for other in (*cases[at + 1 :], *cases[:at]):
            theirs = [call for call in self._calls[other] if call.place == known.place]
            if theirs and (parts := theirs[min(number, len(theirs) - 1)].parts) != known.parts:
                return parts
        return known.parts


def mutate_parts(kind: str, parts: Parts) -> Parts:  # noqa: PLR0911 - a return a kind
    """Return a reply of this kind; the reply itself where the kind has nothing to change."""
    text = parts.text
    match kind:
        case "empty":
            return Parts()
        case "rubbish":
            return Parts(text=RUBBISH)
        case "refusal":
            return Parts(text=REFUSAL)
        case "truncated":
            return replace(parts, text=text[: len(text) // 2])
        case "flipped":
            return replace(parts, text=_flip(text))
        case "tool_dropped":
            return replace(parts, tools=())
        case "other_arguments":
            tools = tuple(replace(tool, arguments=_other_arguments(tool)) for tool in parts.tools)
            return replace(parts, tools=tools)
    return parts


def _flip(text: str) -> str:
    opposites = {**_OPPOSITES, **_OF_LANGUAGE.get(detect_language(text), {})}

    def opposite(match: re.Match[str]) -> str:
        word = match["word"]
        new = opposites.get(word.lower(), word)
        new = new.upper() if word.isupper() else new.capitalize() if word[0].isupper() else new
        return f"{match['before']}{new}{match['after']}"

    return _LITERAL.sub(opposite, _YES_NO.sub(opposite, text))


def _other_arguments(tool: Tool) -> str:
    try:
        arguments = json.loads(tool.arguments)
    except (ValueError, RecursionError):
        return tool.arguments
    return json.dumps(_other(arguments))


def _other(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, str):
        digit = re.search(r"\d", value)
        if digit is None:
            return f"other {value}"
        return f"{value[: digit.start()]}{(int(digit[0]) + 1) % 10}{value[digit.end() :]}"
    if isinstance(value, Mapping):
        return {name: _other(part) for name, part in value.items()}
    return [_other(part) for part in value] if isinstance(value, list) else value


def group_by_case(cases: Sequence[str], replies: Replies, kinds: Sequence[str]) -> dict[str, list[str]]:
    """
    Return the kinds, each with the cases of which it changes a reply.

    A kind that takes what a model says from the app as a whole is tried on cases without a call, too. Such a
    case stays as it is where the app calls no model, and does not where its calls were seen as another's.
    """
    answered = set(replies.cases())
    return {
        kind: [
            case
            for case in cases
            if (case in answered and replies.is_changed(case, kind)) or (answered and kind in MUTE)
        ]
        for kind in kinds
    }
