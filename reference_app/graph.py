"""The app: guards around a planner, its documents and tools, and one answer."""

from __future__ import annotations

import atexit
import threading
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cache
from typing import TYPE_CHECKING, Any

from reference_app.assembly import assemble
from reference_app.dialogue.threads import MAX_TURNS, Threads, Turn
from reference_app.errors import QuestionError
from reference_app.models.client import open_models
from reference_app.models.weights import find_weights
from reference_app.settings import MASKED, open_redact, read_settings
from reference_app.shop.customers import read_customer
from reference_app.state import State, ToolCall
from reference_app.tracing import as_messages, export_to, trace, trace_guard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from reference_app.models.client import Models
    from reference_app.settings import Settings
    from reference_app.tools.registry import Confirmation

MAX_QUESTION_CHARACTERS = 2000
CONFIRM = "confirm"
_NOTHING = {"calls": 0}
_building = threading.Lock()


class SupportApp:
    """
    Customer support of Fellwind Outfitters under fixed settings; may be used from many threads.

    Building it reads documents, prompts and the index; models are loaded by whoever serves them, and the
    shop's service starts with the first call of a tool.
    """

    def __init__(self, settings: Settings, models: Models | None = None) -> None:
        """`models` answer in place of those that the settings name."""
        weights = None
        if settings.model is None or settings.embedding_model is None:
            weights = find_weights(settings.weights, settings.adapter)
        self.models = models or open_models(settings, weights)
        try:
            self.parts = assemble(settings, weights, self.models)
        except BaseException:
            self.models.close()
            raise
        self._uploads = settings.uploads
        self.redact = open_redact(settings)
        self.tracing = settings.tracing
        self._threads = Threads(self.parts.saver.delete_thread)
        atexit.register(self.close)

    def close(self) -> None:
        """Close connections, and the shop's service where it runs in this process."""
        atexit.unregister(self.close)
        self.models.close()
        self.parts.close()

    def run(  # noqa: PLR0913 - each is one part of a question
        self,
        question: str,
        heard: Callable[[str], None] | None = None,
        *,
        thread: str | None = None,
        file: str | None = None,
        history: Sequence[Turn] = (),
        customer: int | None = None,
    ) -> Iterator[tuple[str, State]]:
        """
        Each node's name and what it added, as it ends.

        Where a person has to confirm a call of a tool, the last one is `confirm`, with that call as
        `pending`, and `resume` goes on.

        Args:
            question: What the customer writes.
            heard: Gets the answer part by part, each as it is said, before the output guard.
            thread: Under which `resume` finds the question again, and the next question what was said;
                without it nothing is kept.
            file: Name of an uploaded file that the question is about.
            history: Earlier turns of the conversation, the oldest first; in place of what the thread
                remembers. Of the last eight, 2,000 characters are read.
            customer: Number of the customer who is signed in, and who may see no other's orders.

        Raises:
            QuestionError: The question is empty or longer than 2,000 characters, no files are read here, a
                turn or the customer is none, or the thread is another customer's.
            VaultError: Personal data cannot be kept in the vault; no model has seen the question.
        """
        text = read_text(question)
        if file is not None and (not isinstance(file, str) or not file or self._uploads is None):
            raise QuestionError("The file has no name, or none are read here; see REFERENCE_APP_UPLOADS.")
        start: State = {"question": self.redact(text)}
        if file is not None:
            start["file"] = file
        if customer is not None:
            start["customer"] = read_customer(customer)
        given = _read_history(history)
        turns = [Turn(role=turn["role"], content=self.redact(turn["content"])) for turn in given]
        remembered = self._threads.recall(thread, customer) if thread else []
        if known := turns or remembered:
            start["history"] = known
        if thread and (given_up := self._threads.take(thread)):  # by asking again
            self.parts.saver.delete_thread(given_up)
        if start["question"] != text or turns != given:
            start["masked"] = True
        yield from self._follow(start, heard, thread, uuid.uuid4().hex, start)

    def resume(
        self,
        thread: str,
        confirmation: Confirmation,
        *,
        approved: bool,
        heard: Callable[[str], None] | None = None,
    ) -> Iterator[tuple[str, State]]:
        """
        Go on after a person decided, as `run` does.

        Args:
            thread: As `run` was given it.
            confirmation: Of the very call that the person saw; another one is denied.
            approved: Whether the person wants it made.
            heard: As for `run`.

        Raises:
            QuestionError: Nothing waits under this thread.
        """
        from langgraph.types import Command

        kept = self._threads.take(thread)
        if kept is None:
            raise QuestionError("There is nothing to confirm, or it was given up.")
        answer = {"digest": confirmation.digest, "approved": approved}
        yield from self._follow(Command(resume=answer), heard, thread, kept, {})

    def answer(self, question: str | Sequence[str] | Mapping[str, Any]) -> dict[str, Any]:
        """What `reference_app.answer` returns."""
        asked = _read_question(question)
        if unknown := sorted(set(asked) - {"question", "file", "history", "customer"}):
            known = "`question`, `file`, `history` and `customer`"
            raise QuestionError(f"A question has no {unknown[0]!r}; it has {known}.")
        state: State = {}
        history = asked.get("history") or ()
        options = {name: asked.get(name) for name in ("file", "customer")}
        for _, added in self.run(asked.get("question", ""), history=history, **options):
            state.update(added)
        return as_record(state, self.models.chat_model)

    def _follow(
        self, given: Any, heard: Callable[[str], None] | None, thread: str | None, kept: str, start: State
    ) -> Iterator[tuple[str, State]]:
        from reference_app.tracing.langsmith import without_own_tracing

        graph = self.parts.graph
        asked = [{"role": "user", "content": start["question"]}] if start else []
        with (
            export_to(self.tracing, thread or kept),
            without_own_tracing(),
            trace(
                "invoke_agent support",
                gen_ai__operation__name="invoke_agent",
                gen_ai__agent__name="support",
                gen_ai__provider__name=self.models.provider,
                gen_ai__request__model=self.models.chat_model,
                gen_ai__input__messages=as_messages([*start.get("history", []), *asked]) or None,
                gen_ai__tool__definitions=self.parts.tool_definitions,
            ) as span,
        ):
            waits, refused, text, customer = False, False, "", start.get("customer")
            if start.get("masked"):
                trace_guard("redaction", MASKED, decision="masked")
            try:
                options: Any = {"configurable": {"thread_id": kept, "heard": heard}}
                for update in graph.stream(given, options, stream_mode="updates", durability="exit"):
                    for node, added in update.items():
                        if node == "__interrupt__":
                            waits, so_far = True, graph.get_state(options).values
                            customer = so_far.get("customer")
                            yield CONFIRM, self.ask_person(added[0].value, so_far)
                            continue
                        added_state: State = added or State()
                        refused = refused or "suspicion" in added_state
                        if "text" in added_state:
                            text = added_state["text"]
                            message = {"role": "assistant", "content": text}
                            span.describe({"gen_ai.output.messages": as_messages([message])})
                        yield node, added_state
            finally:
                if waits and thread:
                    self._threads.wait(thread, kept, customer)
                else:
                    self.parts.saver.delete_thread(kept)
                if thread and start and not refused:  # else the guard would refuse what comes next, too
                    turns = [Turn(role="user", content=start["question"])]
                    turns += [Turn(role="assistant", content=text)] if text else []
                    self._threads.note(thread, *turns, customer=customer)

    def ask_person(self, value: Mapping[str, Any], so_far: Mapping[str, Any]) -> State:
        """What is said and recorded while a person decides about the call that `value` describes."""
        call = ToolCall(
            name=value["name"],
            arguments=value["arguments"],
            decision="pending",
            reason="a person has to confirm it",
        )
        trace_guard("tools", call.reason, decision="pending")
        looked = [ToolCall(**one) for one in value["looked"]]
        order = (looked[-1].result or {}) if looked else {}
        return {
            "text": self.parts.telling.ask(call, order),
            "tool_calls": [*so_far.get("tool_calls", []), *looked, call],
            "pending": call,
            "sources": [],
        }


def read_text(question: object) -> str:
    """
    A question as it can be sent.

    Raises:
        QuestionError: It is empty or too long.
    """
    if not isinstance(question, str) or not question.strip():
        raise QuestionError("The question is empty.")
    if len(question) > MAX_QUESTION_CHARACTERS:
        raise QuestionError(
            f"The question has {len(question)} characters; at most {MAX_QUESTION_CHARACTERS} are read."
        )
    return question.strip().encode("utf-8", "replace").decode()


def _read_history(history: object) -> list[Turn]:
    """The last turns and the start of each: guards read them all, so a long history takes long."""
    if not isinstance(history, list | tuple):
        raise QuestionError("The history is a list of turns.")
    for turn in history:
        sound = isinstance(turn, dict) and turn.get("role") in ("user", "assistant")
        if not sound or not isinstance(turn.get("content"), str) or len(turn) > 2:  # noqa: PLR2004 - the two keys
            raise QuestionError("A turn of the history has a role, user or assistant, and its content.")
    return [Turn(role=turn["role"], content=_cut(turn["content"])) for turn in history[-MAX_TURNS:]]


def _cut(text: str) -> str:
    """The start of a text, as it can be sent, and without a half of a word, which might be an address."""
    start = text[:MAX_QUESTION_CHARACTERS].encode("utf-8", "replace").decode()
    return start if len(text) == len(start) else start.rpartition(" ")[0]


def _read_question(question: str | Sequence[str] | Mapping[str, Any]) -> Mapping[str, Any]:
    """Several texts are turns of the customer, of which the last is to be answered."""
    if isinstance(question, Mapping):
        return question
    if not isinstance(question, list | tuple) or not question:
        return {"question": question}
    *earlier, last = question
    return {"question": last, "history": [{"role": "user", "content": text} for text in earlier]}


def as_record(state: State, model: str) -> dict[str, Any]:
    """The final state as plain data: `text`, `passages`, `tool_calls`, `model`."""
    return {
        "text": state["text"],
        "passages": [
            {"id": one.section.id, "text": one.section.text, "score": round(one.score, 6)}
            for one in state.get("passages", [])
        ],
        "tool_calls": [asdict(call) for call in state.get("tool_calls", [])],
        "model": model,
        # Who counts tokens has to know that a guard answered without a model, and that none is missing.
        **({"usage": _NOTHING} if state.get("suspicion") else {}),
    }


def open_app(settings: Settings | None = None) -> SupportApp:
    """The app under these settings or the environment's, built once per distinct settings."""
    with _building:
        return _open(settings or read_settings())


_open = cache(SupportApp)
