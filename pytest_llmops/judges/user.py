"""
A simulated user: a chat model that leads a conversation with the app, from a goal and a persona.

What the user does wrong is found here by rules that need no further model, and is never the app's failure.
Simulators change the success of an app by up to 9 points (arXiv 2603.11245, arXiv 2601.17087), so those of
another user model are other conversations.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from pytest_llmops.errors import MetricOptionError
from pytest_llmops.judges.completion import Reply, quote
from pytest_llmops.judges.model import EMBEDDED, JudgeModel, read_judge
from pytest_llmops.judges.panel import locate
from pytest_llmops.judges.prompt import JudgePrompt, load_prompt
from pytest_llmops.judges.verdict import Message, request_text
from pytest_llmops.records import SimulatedUser

_END = re.compile(r"\[(done|stuck)\]", re.IGNORECASE)
_ROLE = re.compile(r"^\W*(?:user|assistant|agent|customer|bot|system)\W*:", re.IGNORECASE | re.MULTILINE)
# How assistants open and excuse themselves, in the languages of most apps; a person writes none of these.
_ASSISTANT = re.compile(
    r"\b(?:as|i am|i['\u2019]?m) (?:an|your) (?:ai|artificial intelligence)\b|"
    r"\bhow (?:can|may) i (?:help|assist) you\b|\banything else (?:that )?i can (?:help|assist|do)\b|"
    r"\b(?:i['\u2019]?m|i am) (?:here|happy|glad) to (?:help|assist)\b|"
    r"\bwie kann ich (?:ihnen|dir) (?:\w+ )?(?:helfen|behilflich)|\bals ki\b|\bals (?:ki-)?sprachmodell\b|"
    r"\bcomment puis-je vous aider\b|\ben tant qu['\u2019]ia\b|\bcómo puedo ayudar|\bcomo (?:una )?ia\b|"
    r"\bcome posso aiutar|\bcomo posso ajud|\bhoe kan ik (?:u|je|jou) helpen\b",
    re.IGNORECASE,
)
_VALUE = re.compile(r"[\w@][\w@.,:/+-]*")
_WORD = re.compile(r"\w+")
_OTHER = re.compile(r"[\W_]+")
_RUN = 6
"""Words in a row of an earlier answer that a message may quote."""

_MOST_QUOTED = 0.6
"""The share of a message that may be such quotes."""

_LOOP = 3
_LONG = 6  # characters of a value that may be written in parts, as the number of a phone
_SHOWN = 120


class UserFaultError(Exception):
    """The simulated user did something that no user would do. The message may be shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """
    A turn of the user.

    Attributes:
        message: To the app; empty where the goal is reached.
        model: That the endpoint names.
    """

    message: str
    model: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class UserPlayer:
    """
    A simulated user with its model.

    Attributes:
        history: Messages before the first turn.
    """

    user: SimulatedUser
    judge: JudgeModel
    history: tuple[Mapping[str, str], ...] = ()

    @classmethod
    def open(cls, user: SimulatedUser, history: tuple[Mapping[str, str], ...] = ()) -> UserPlayer:
        """
        Read the user's model.

        Raises:
            MetricOptionError: None is named, it cannot be read, or it is too small to play a user.
        """
        judge = read_judge(user.model, "user")
        if judge.model == EMBEDDED:
            raise MetricOptionError(
                "user: the embedded model is too small to play a user; name a chat model: "
                "user: {model: gpt-4o-mini}"
            )
        return cls(user=user, judge=judge, history=history)

    @property
    def prompt(self) -> JudgePrompt:
        """The prompt, in its version."""
        return load_prompt("user")

    async def say(self, said: Sequence[tuple[str, str]], repeat: int) -> Said:
        """
        Return the next message of the user.

        Args:
            said: The turns so far, each the user's message and the app's answer.
            repeat: Counts from 0; each has a seed of its own.

        Raises:
            UserFaultError: The reply is none that a user could give.
            JudgeError: No reply came.
            CassetteError: It is not recorded and may not be made.
        """
        judge = replace(locate(self.judge), seed=self.user.seed + repeat)
        reply = await request_text(judge, [*self._render(), *_swap(self.history, said)])
        if fault := self._find_fault(reply, said):
            raise UserFaultError(fault)
        ended = _END.search(reply.text)
        return Said(message="" if ended else reply.text.strip(), model=reply.model)

    def _render(self) -> list[Message]:
        return self.prompt.render(scenario="\n\n".join(_describe(self.user)))

    def _find_fault(self, reply: Reply, said: Sequence[tuple[str, str]]) -> str:
        """Return what is wrong with a reply; empty where nothing is."""
        if reply.finish in {"length", "content_filter"} or reply.refusal:
            return f"its message was cut off or refused ({reply.finish or 'refusal'})"
        text = reply.text.strip()
        if not text:
            return "it said nothing"
        if ended := _END.search(text):
            if ended[1].lower() == "stuck":
                return "it was asked for something that the case does not say; add that to `knows`"
            return "" if said else "it ended the conversation before it asked anything"
        return self._find_fault_in(text, said)

    def _find_fault_in(self, text: str, said: Sequence[tuple[str, str]]) -> str:
        if _ROLE.search(text):
            return f"it wrote the roles of the conversation: {quote(text, _SHOWN)}"
        answers = [answer for _, answer in said]
        if _ASSISTANT.search(text) or _is_echo(text, answers):
            return f"it answered as the assistant: {quote(text, _SHOWN)}"
        if _is_loop(text, said):
            return f"it says the same for the {_LOOP}rd time to other answers: {quote(text, _SHOWN)}"
        if invented := _find_invented(text, [*self._list_known(), *answers]):
            return f"it said what it cannot know, {quote(invented, _SHOWN)}: {quote(text, _SHOWN)}"
        return ""

    def _list_known(self) -> Iterator[str]:
        user = self.user
        yield from (user.goal, user.persona, *user.style, json.dumps(dict(user.knows), ensure_ascii=False))
        yield from (message["content"] for message in self.history)


def _describe(user: SimulatedUser) -> Iterator[str]:
    yield f"What you want: {user.goal}"
    if user.persona:
        yield f"Who you are: {user.persona}"
    if user.knows:
        known = "\n".join(f"- {name}: {_show(value)}" for name, value in user.knows.items())
        yield f"What you know:\n{known}"
    if user.style:
        yield f"Your style: {', '.join(user.style)}"


def _show(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _swap(history: Iterable[Mapping[str, str]], said: Iterable[tuple[str, str]]) -> Iterator[Message]:
    """Yield the messages as the user model has them: its own are those of the assistant."""
    roles = {"user": "assistant", "assistant": "user"}
    for message in history:
        if message["role"] in roles:
            yield {"role": roles[message["role"]], "content": message["content"]}
    for asked, answer in said:
        yield {"role": "assistant", "content": asked}
        yield {"role": "user", "content": answer or "(no answer)"}


def _is_echo(text: str, answers: Iterable[str]) -> bool:
    """Return whether most of a message is taken word for word from answers of the app."""
    words = [word.casefold() for word in _WORD.findall(text)]
    runs = {
        run for answer in answers for run in _list_runs([word.casefold() for word in _WORD.findall(answer)])
    }
    taken = {at + step for at, run in enumerate(_list_runs(words)) if run in runs for step in range(_RUN)}
    return bool(taken) and len(taken) > _MOST_QUOTED * len(words)


def _list_runs(words: Sequence[str]) -> list[tuple[str, ...]]:
    return [tuple(words[at : at + _RUN]) for at in range(len(words) - _RUN + 1)]


def _is_loop(text: str, said: Sequence[tuple[str, str]]) -> bool:
    last = said[-(_LOOP - 1) :]
    same = all(_bare(asked) == _bare(text) for asked, _ in last)
    return len(last) == _LOOP - 1 and same and len({answer for _, answer in last}) > 1


def _find_invented(text: str, known: Iterable[str]) -> str:
    """Return the first value with digits in a message that no known text has; single digits are counts."""
    words = [_bare(word) for text in known for word in text.split()]
    apart, together = " ".join(words), "".join(words)
    for found in _VALUE.findall(text):
        bare = _bare(found)
        if len(bare) == 1 or not any(sign.isdigit() for sign in bare):
            continue
        is_known = re.search(rf"(?<!\d){re.escape(bare)}(?!\d)", apart)
        if not is_known and not (len(bare) >= _LONG and bare in together):
            return str(found).rstrip(".,:")
    return ""


def _bare(text: str) -> str:
    return _OTHER.sub("", text).casefold()
