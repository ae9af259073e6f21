"""The app under fixed settings: what is asked of the graph, who asked before, and what comes back."""

from __future__ import annotations

import atexit
import threading
import uuid
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from reference_app import tuned
from reference_app.errors import QuestionError
from reference_app.guardrails.injection import scan
from reference_app.models.client import open_models
from reference_app.models.weights import find_weights
from reference_app.plans import MISSING
from reference_app.settings import MASKED, open_redact, read_settings
from reference_app.shop.customers import read_customer
from reference_app.state import start_turn
from reference_app.tools.calls import ToolCall
from reference_app.tools.registry import Confirmation
from reference_app.tracing import as_messages, export_to, trace, trace_guard

if TYPE_CHECKING:
    from collections.abc import Iterable

    from reference_app.models.client import Models
    from reference_app.settings import Settings

MAX_QUESTION_CHARACTERS = 2000
MAX_TURNS = 8
MAX_THREADS = 1000
CONFIRM = "confirm"
PROMPTS = ("planner", "answerer", "rewriter")
REPLIES = (*MISSING, "refuse", "denied", "not_own", "pending", "rejected", "done")
_NOTHING = "There is nothing to confirm, or it was given up."
_YES = {
    "yes",
    "yes please",
    "yes do it",
    "ok",
    "okay",
    "confirm",
    "confirmed",
    "please do",
    "go ahead",
    "sure",
}
_NO = {"no", "no thanks", "no thank you", "cancel", "stop", "do not", "don't", "rather not"}
_building = threading.Lock()


@dataclass(slots=True)
class _Thread:
    """One conversation: who began it, and a lock that a message holds while it is answered."""

    customer: tuple[int | None, ...]
    lock: threading.Lock = field(default_factory=threading.Lock)


class SupportApp:
    """
    Customer support of Fellwind Outfitters under fixed settings; may be used from many threads.

    Building it reads documents, prompts and the index; models are loaded by whoever serves them, and the
    shop's service starts with the first call of a tool.
    """

    def __init__(self, settings: Settings, models: Models | None = None) -> None:
        """`models` answer in place of those that the settings name."""
        from reference_app.documents.search import open_library
        from reference_app.graph import Context, build_graph, open_saver
        from reference_app.models.prompt import load_prompt
        from reference_app.tools.gate import open_gate

        weights = None
        if settings.model is None or settings.embedding_model is None:
            weights = find_weights(settings.weights, settings.adapter)
        self.models = models or open_models(settings, weights)
        self.tracing = settings.tracing
        self._uploads = settings.uploads
        self._threads: OrderedDict[str, _Thread] = OrderedDict()
        try:
            learnt = tuned.PROMPTS if settings.tuned else {}
            prompts = {name: load_prompt(settings.prompts, learnt.get(name, name)) for name in PROMPTS}
            prompts["replies"] = load_prompt(settings.prompts, "replies", replies=REPLIES)
            self.context = Context(
                settings=settings,
                models=self.models,
                prompts=prompts,
                tools=open_gate(settings, self.models.complete),
                library=open_library(settings, weights, self.models),
            )
            self._saver = open_saver()
            self.graph = build_graph(self.context, self._saver)
        except BaseException:
            self.models.close()
            raise
        atexit.register(self.close)

    def close(self) -> None:
        """Close connections, and the shop's service where it runs in this process."""
        atexit.unregister(self.close)
        self.models.close()
        self.context.tools.close()

    def run(
        self,
        question: str,
        *,
        thread: str | None = None,
        file: str | None = None,
        history: Sequence[Mapping[str, str]] = (),
        customer: int | None = None,
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """
        Each node's name and what it added, as it ends.

        Where a person has to confirm a call of a tool, the last one is `confirm`, with that call as
        `pending`; `resume` goes on, and so does a plain yes or no under the same thread.

        Args:
            question: What the customer writes; at most 2,000 characters.
            thread: Under which the conversation is kept in memory; without it nothing is.
            file: Name of an uploaded file that the question is about.
            history: Earlier turns, the oldest first, where no thread remembers them; the last eight.
            customer: Number of the customer who is signed in, and who may see no other's orders.

        Raises:
            QuestionError: The question is empty or too long, no files are read here, a turn or the customer
                is none, or the thread is another customer's.
            VaultError: Personal data cannot be kept in the vault; no model has seen the question.
        """
        text = read_text(question)
        if file is not None and (not isinstance(file, str) or not file or self._uploads is None):
            raise QuestionError("The file has no name, or none are read here; see REFERENCE_APP_UPLOADS.")
        customer = None if customer is None else read_customer(customer)
        turns = _read_history(history)
        if thread is not None and turns:
            raise QuestionError("A thread has a history of its own; name one or give the other.")
        options = self._options(thread or uuid.uuid4().hex)
        with self._hold(thread, customer):
            if (waiting := self._find_waiting(options)) is not None:
                plain = " ".join(
                    "".join(one for one in text.lower() if one.isalpha() or one in " '?").split()
                )
                if plain in _YES | _NO:
                    yield from self._resume(options, waiting, approved=plain in _YES)
                    return
                # Another message gives the question up; the conversation before it stays.
                self.graph.update_state(options, {}, as_node="guard_output")
            about = (
                thread or "" if customer is None else f"customer {customer}"
            )  # for whom an erasure is asked
            redact = open_redact(self.context.settings, about)
            written = [*turns, {"role": "user", "content": text}]
            asked = [{**turn, "content": redact(turn["content"])} for turn in written]
            given = {**start_turn(customer, file), "messages": asked}
            try:
                yield from self._follow(given, options, asked=asked, masked=asked != written)
            finally:
                if thread is None:
                    self._saver.delete_thread(options["configurable"]["thread_id"])

    def resume(
        self,
        thread: str,
        confirmation: Confirmation,
        *,
        approved: bool,
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """
        Go on after a person decided, as `run` does.

        Args:
            thread: As `run` was given it.
            confirmation: Of the very call that the person saw; another one is denied.
            approved: Whether the person wants it made.

        Raises:
            QuestionError: Nothing waits under this thread.
        """
        options = self._options(thread)
        with self._hold(thread):
            if self._find_waiting(options) is None:
                raise QuestionError(_NOTHING)
            yield from self._resume(options, confirmation, approved=approved)

    def answer(self, question: str | Sequence[str | Mapping[str, str]] | Mapping[str, Any]) -> dict[str, Any]:
        """What `reference_app.answer` returns."""
        asked = _read_question(question)
        if unknown := sorted(set(asked) - {"question", "file", "history", "customer"}):
            known = "`question`, `file`, `history` and `customer`"
            raise QuestionError(f"A question has no {unknown[0]!r}; it has {known}.")
        options = {name: asked.get(name) for name in ("file", "customer")}
        steps = self.run(asked.get("question", ""), history=asked.get("history") or (), **options)
        return as_record(collect(steps), self.models.chat_model)

    def _resume(
        self, options: Any, confirmation: Confirmation, *, approved: bool
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        from langgraph.types import Command

        answer = {"digest": confirmation.digest, "approved": approved}
        yield from self._follow(Command(resume=answer), options)

    def _follow(
        self,
        given: Any,
        options: Any,
        asked: Sequence[Mapping[str, str]] = (),
        *,
        masked: bool = False,
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        with (
            export_to(self.tracing, options["configurable"]["thread_id"]),
            trace(
                "invoke_agent support",
                gen_ai__operation__name="invoke_agent",
                gen_ai__agent__name="support",
                gen_ai__provider__name=self.models.provider,
                gen_ai__request__model=self.models.chat_model,
                gen_ai__input__messages=as_messages(asked) or None,
                gen_ai__tool__definitions=self.context.tools.definitions,
            ) as span,
        ):
            if masked:
                trace_guard("redaction", MASKED, decision="masked")
            for update in self.graph.stream(
                given, options, context=self.context, stream_mode="updates", durability="exit"
            ):
                for node, added in update.items():
                    step = (node, added or {})
                    if node == "__interrupt__":
                        step = (CONFIRM, self._ask_person(added[0].value))
                    if text := step[1].get("text"):
                        said = [{"role": "assistant", "content": text}]
                        span.describe({"gen_ai.output.messages": as_messages(said)})
                    records = [getattr(message, "artifact", None) for message in step[1].get("messages", [])]
                    calls = [record for record in records if record is not None]
                    yield step if not calls else (node, {**step[1], "tool_calls": calls})

    def _ask_person(self, value: Mapping[str, Any]) -> dict[str, Any]:
        """What is said and recorded while a person decides about the call that `value` describes."""
        call = ToolCall(
            name=value["name"], arguments=value["arguments"], decision="pending", reason=value["reason"]
        )
        trace_guard("tools", call.reason, decision="pending")
        return {"text": value["text"], "tool_calls": [call], "pending": call, "sources": []}

    @contextmanager
    def _hold(self, thread: str | None, *customer: int | None) -> Iterator[None]:
        """
        Keep a conversation to whom it was begun by, and to one message at a time.

        Of a thousand the one that was silent longest is forgotten.
        """
        if thread is None:
            yield
            return
        with _building:
            if not customer and thread not in self._threads:
                raise QuestionError(_NOTHING)  # a decision begins no conversation
            known = self._threads.setdefault(thread, _Thread(customer=customer))
            if customer and known.customer != customer:
                raise QuestionError("This conversation was begun by another customer; begin a new one.")
            self._threads.move_to_end(thread)
            silent = [name for name, one in self._threads.items() if not one.lock.locked() and name != thread]
            gone = silent[: max(0, len(self._threads) - MAX_THREADS)]
            for name in gone:
                del self._threads[name]
                self._saver.delete_thread(name)
        with known.lock:
            yield

    def _find_waiting(self, options: Any) -> Confirmation | None:
        """The call that waits for a person in this conversation."""
        waiting = self.graph.get_state(options).interrupts
        return Confirmation.of(waiting[0].value["name"], waiting[0].value["arguments"]) if waiting else None

    @staticmethod
    def _options(thread: str) -> Any:
        return {"configurable": {"thread_id": thread}, "recursion_limit": 25}


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


def _read_history(history: object) -> list[dict[str, str]]:
    """The last turns, and the start of each."""
    history = _read_turns(history)
    turns = [{"role": turn["role"], "content": _cut(turn["content"])} for turn in history[-MAX_TURNS:]]
    # What the app is said to have answered is scanned here; the customer's own turns are by the graph.
    return [turn for turn in turns if turn["role"] == "user" or not scan(turn["content"]).flagged]


def _read_turns(turns: object) -> Sequence[Mapping[str, str]]:
    if not isinstance(turns, list | tuple):
        raise QuestionError("The history is a list of turns.")
    for turn in turns:
        sound = isinstance(turn, Mapping) and turn.get("role") in ("user", "assistant")
        if not sound or not isinstance(turn.get("content"), str) or set(turn) != {"role", "content"}:
            raise QuestionError("A turn of the history has a role, user or assistant, and its content.")
    return turns


def _cut(text: str) -> str:
    """The start of a text, as it can be sent, and without a half of a word, which might be an address."""
    start = text[:MAX_QUESTION_CHARACTERS].encode("utf-8", "replace").decode()
    return start if len(text) == len(start) else start.rpartition(" ")[0]


def _read_question(
    question: str | Sequence[str | Mapping[str, str]] | Mapping[str, Any],
) -> Mapping[str, Any]:
    """Of several turns the last is to be answered; one that is a text is the customer's."""
    if isinstance(question, Mapping):
        return question
    if not isinstance(question, list | tuple) or not question:
        return {"question": question}
    turns = [{"role": "user", "content": turn} if isinstance(turn, str) else turn for turn in question]
    last = _read_turns(turns)[-1]
    if last["role"] != "user":
        raise QuestionError("The last turn, which is answered, is the customer's.")
    return {"question": last["content"], "history": turns[:-1]}


def collect(
    steps: Iterable[tuple[str, dict[str, Any]]], before: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """All that the nodes added; a call that waited is no more than that until a person decided."""
    state = dict(before or {"tool_calls": []})
    for _, added in steps:
        decided = [call for call in state["tool_calls"] if call.decision != "pending"]
        state |= {**added, "tool_calls": [*decided, *added.get("tool_calls", [])]}
    return state


def as_record(state: Mapping[str, Any], model: str) -> dict[str, Any]:
    """The final state as plain data: `text`, `passages`, `tool_calls`, `model`, and `degraded` if it is."""
    return {
        "text": state["text"],
        "passages": [
            {"id": one.section.id, "text": one.section.text, "score": round(one.score, 6)}
            for one in state.get("passages", [])
        ],
        "tool_calls": [asdict(call) for call in state["tool_calls"]],
        "model": model,
        **({"degraded": state["degraded"]} if state.get("degraded") else {}),
        # Who counts tokens has to know that a guard answered without a model, and that none is missing.
        **({"usage": {"calls": 0}} if state.get("suspicion") else {}),
    }


def open_app(settings: Settings | None = None) -> SupportApp:
    """The app under these settings or the environment's, built once per distinct settings."""
    with _building:
        return _open(settings or read_settings())


_open = cache(SupportApp)
