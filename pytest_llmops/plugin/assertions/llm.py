"""
The fixture `llm`: calls the app under test by the rules of golden cases.

The call is `AppCaller.call`, as a golden case makes it: its input is a copy, its model calls are recorded,
budgeted and judged, its spans captured, its time limited. What a golden run says in its summary is a warning
of the test here, and what fails a run there fails the call.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections import Counter
from collections.abc import Generator, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, fields, replace
from threading import current_thread, main_thread
from typing import Any, cast, get_args

import pytest

from pytest_llmops.detect.mask import mask
from pytest_llmops.errors import AppError, CaseFileError, GoldenError, LLMOpsError, hint
from pytest_llmops.evaluation.run import Evaluation
from pytest_llmops.gates.unseen import describe_unseen
from pytest_llmops.golden.files import input_with_files
from pytest_llmops.golden.identity import file_of
from pytest_llmops.golden.loader import read_record
from pytest_llmops.golden.structure import find_turn_mistakes
from pytest_llmops.metrics.declared_metric import REMEDIES
from pytest_llmops.plugin.assertions.golden_cases import golden_of
from pytest_llmops.plugin.reported import GoldenWarning
from pytest_llmops.plugin.session import session_of, watch_end
from pytest_llmops.printable import excerpt
from pytest_llmops.protocols import App
from pytest_llmops.recorder import CallRules
from pytest_llmops.recorder.identity import split_host
from pytest_llmops.recorder.loop_thread import RunningLoop
from pytest_llmops.records import (
    Case,
    CaseResult,
    CaseTurn,
    Failure,
    Golden,
    ModelErrors,
    Output,
    Sample,
    Span,
    TurnOutput,
)
from pytest_llmops.runner.app.call_notes import describe_calls
from pytest_llmops.runner.app.calls import AppCaller, Called
from pytest_llmops.runner.app.conversation import Script, check_calling
from pytest_llmops.runner.app.failed_calls import describe_unanswered
from pytest_llmops.runner.app.inputs import GivenInput
from pytest_llmops.runner.app.places import OnLoop, Threads
from pytest_llmops.runner.app.remote.place import Remote
from pytest_llmops.runner.app.routing import route_through
from pytest_llmops.runner.cases.tasks import call_rules
from pytest_llmops.runner.readiness import import_libraries

_STASH = pytest.StashKey["Llm"]()
_MODEL_ERRORS = get_args(ModelErrors)
_REMEDIES_IN_TESTS = {
    REMEDIES["reference"]: "there is no reference; pass reference= to llm(), or to the marker",
    REMEDIES["relevant"]: "no relevant passages are named; pass relevant= to llm(), or to the marker",
    "add `reference:` to the case": "pass other= to the marker, or reference= to llm()",
    "`runs_on: main_thread` in the golden file": 'the setting `runs_on = "main_thread"`',
    "`runs_on: test_loop` in the golden file": 'the setting `runs_on = "test_loop"`',
    "`model_errors: warn` in the golden file": 'model_errors="warn" in llm()',
    "`model_errors: allow` in the golden file": 'model_errors="allow" in llm()',
    "` of the golden file": "` in llm()",
    "say so in the golden file: `record": "say so in llm(): `record",
    "the golden file says": "llm() says",
    "so the run says nothing": "so the answer says nothing",
    "the golden file requires": "the test requires",
}

_ALLOWED = re.compile(r"record: \{allow: \[(.*?)\]\}(?=`)")


class NotScoredError(LLMOpsError):
    """A metric or the app broke, or an argument is wrong, so there is no number to compare."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False, eq=False)
class Conversation(Output):
    """
    The output of a conversation: the answers of all turns, and what was retrieved, called and used in them.

    Attributes:
        turns: One output a turn, in order.
    """

    turns: tuple[Output, ...] = ()

    @classmethod
    def of(cls, output: Output, turns: Iterable[TurnOutput]) -> Conversation:
        own = {own.name: getattr(output, own.name) for own in fields(Output)}
        return cls(**own, turns=tuple(turn.output for turn in turns))

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Output) and not isinstance(other, Conversation):
            return False
        return Output.__eq__(self, other)

    __hash__ = Output.__hash__


@dataclass(slots=True, eq=False)
class Llm:
    """
    Calls the app under test for one test.

    Attributes:
        golden: The golden file whose cases the test runs for, with its rules for calls.
        samples: Inputs and outputs so far, for the test's markers.
        spans: Every span that the answers left.
        warned: Sentences of which the test has a warning.
    """

    evaluation: Evaluation
    caller: AppCaller
    node: pytest.Item
    golden: Golden | None = None
    samples: list[Sample] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)
    warned: set[str] = field(default_factory=set)
    _repeats: Counter[str] = field(default_factory=Counter)
    _pending: list[PendingOutput] = field(default_factory=list)

    @classmethod
    def of(cls, node: pytest.Item, app: App | None) -> Llm:
        """
        Make the fixture of a test, where the test's markers find it.

        Raises:
            AppError: No app is named, or it cannot be imported.
        """
        evaluation = session_of(node.config)
        settings = evaluation.settings
        golden = golden_of(node)
        if app is None:
            named = settings.app
            if golden is not None and golden.app is not None and "app" not in settings.flagged:
                named = golden.app
            if named is None:
                raise AppError(
                    "the fixture llm has no app to call: define a fixture llm_app in conftest.py that "
                    'returns a callable, or set app = "module:attribute" in [tool.pytest-llmops], or pass '
                    "--llm-app"
                )
            with evaluation.recorder.importing(call_rules(golden) if golden else CallRules()):
                app = evaluation.open_app(named)
        else:
            watch_end(node)
        caller = evaluation.caller(app, golden)
        import_libraries()
        llm = cls(evaluation=evaluation, caller=caller, node=node, golden=golden)
        node.stash[_STASH] = llm
        return llm

    @staticmethod
    def samples_of(node: pytest.Item) -> Sequence[Sample]:
        """The inputs and outputs of a test, in order; calls that nothing waited for are made now."""
        __tracebackhide__ = True
        llm = node.stash.get(_STASH, None)
        if llm is None:
            return ()
        llm.finish()
        return tuple(llm.samples)

    @property
    def needs_main_thread(self) -> bool:
        """Return whether the settings name a place for the app in the main thread."""
        return not isinstance(self.caller.place, Threads | Remote)

    def __repr__(self) -> str:
        return f"<llm called {self._repeats.total()} times>"

    def __call__(  # noqa: PLR0913 - the rules of a golden case
        self,
        question: Any,
        *,
        reference: str | None = None,
        relevant: Iterable[str] = (),
        model_errors: ModelErrors | None = None,
        require_spans: int = 0,
        live: bool = False,
        record: Mapping[str, Any] | None = None,
    ) -> Output | PendingOutput:
        """
        Return the app's answer; an equal question is a further repeat, and answered anew.

        Inside of a running event loop the call may be awaited, and then an async app runs on that loop.

        Args:
            question: The input of the app, which gets a copy; or a case of a golden file, with its input,
                reference and relevant passages.
            reference: The expected answer, for metrics that compare with it.
            relevant: Ids of the passages that contain the answer.
            model_errors: As in a golden file, and so are `require_spans`, `live` and `record`.

        Raises:
            NotScoredError: The app raised, hung, or returned no answer; or the answer breaks a rule.
        """
        __tracebackhide__ = True  # the mistake is in the question or the app, not in this file
        return self._call(
            GivenInput(question).value,  # a test may append to its own, for the next turn
            reference=reference,
            relevant=relevant,
            model_errors=model_errors,
            require_spans=require_spans,
            live=live,
            record=record,
        )

    def turns(  # noqa: PLR0913 - the rules of a golden case
        self,
        messages: Iterable[str],
        *,
        history: Iterable[Mapping[str, str]] = (),
        reference: str | None = None,
        relevant: Iterable[str] = (),
        model_errors: ModelErrors | None = None,
        require_spans: int = 0,
        live: bool = False,
        record: Mapping[str, Any] | None = None,
    ) -> Conversation | PendingOutput:
        """
        Hold a conversation, and return its output: the answers of all turns, with one of each in `turns`.

        The app is called once for each message, with the messages so far or with its session, as in
        a golden case with `turns`. Like `llm()` it may be awaited.

        Args:
            messages: Of the user, one a turn.
            history: Messages before the first turn, each with `role` and `content`.
            reference: The expected last answer. The other arguments are those of `llm()`.

        Raises:
            NotScoredError: As `llm()`, for any turn; or the app can hold no conversation.
        """
        __tracebackhide__ = True
        written = {"turns": _list_of(messages), "history": _list_of(history)}
        if mistakes := find_turn_mistakes(written):
            raise NotScoredError(f"llm.turns(): {'; '.join(mistakes)}")
        script = Script(
            turns=tuple(CaseTurn(user=message) for message in written["turns"]),
            history=tuple(dict(message) for message in written["history"]),
        )
        try:
            check_calling(self.caller.app, "the app", with_history=bool(script.history))
        except AppError as error:
            raise NotScoredError(str(error)) from None
        held = self._call(
            script,
            reference=reference,
            relevant=relevant,
            model_errors=model_errors,
            require_spans=require_spans,
            live=live,
            record=record,
        )
        return cast("Conversation | PendingOutput", held)

    def _call(  # noqa: PLR0913 - as above
        self,
        question: Any,
        *,
        reference: str | None,
        relevant: Iterable[str],
        model_errors: ModelErrors | None,
        require_spans: int,
        live: bool,
        record: Mapping[str, Any] | None,
    ) -> Output | PendingOutput:
        __tracebackhide__ = True
        if model_errors is not None and model_errors not in _MODEL_ERRORS:
            near = hint(str(model_errors), _MODEL_ERRORS)
            raise NotScoredError(
                f"model_errors must be one of {', '.join(_MODEL_ERRORS)}, not {model_errors!r}.{near}"
            )
        try:
            recording = {} if record is None else read_record(record)
        except GoldenError as error:
            raise NotScoredError(str(error)) from None
        relevant = tuple(relevant)
        if isinstance(question, Case) and question.user:
            raise NotScoredError(
                f"the case {excerpt(question.id)} has a simulated user, who leads golden cases alone; "
                "hold the conversation with llm.turns([…])"
            )
        if isinstance(question, Case) and question.turns:
            raise NotScoredError(
                f"the case {excerpt(question.id)} is a conversation; write "
                "llm.turns([turn.user for turn in case.turns], history=case.history)"
            )
        if isinstance(question, Case):
            reference = question.reference if reference is None else reference
            relevant, live = relevant or question.relevant, live or question.live
            try:
                question = input_with_files(question, self.evaluation.settings.root)
            except CaseFileError as error:
                raise NotScoredError(str(error)) from None
        file = self.golden or Golden(path="", cases=())
        key = json.dumps(question, sort_keys=True, default=str)
        call = LlmCall(
            llm=self,
            question=question,
            repeat=self._repeats[key],
            reference=reference,
            relevant=relevant,
            golden=replace(
                file,
                path=file_of(self.node.nodeid),
                cases=(),
                model_errors=model_errors or file.model_errors,
                require_spans=int(require_spans) or file.require_spans,
                **recording,
            ),
            live=live,
        )
        self._repeats[key] += 1
        if not _is_in_loop():
            return call.take(call.begin())
        pending = PendingOutput(call)
        self._pending.append(pending)
        return pending

    def finish(self) -> None:
        """Make the calls of an async test that nothing awaited or read."""
        __tracebackhide__ = True
        pending, self._pending = self._pending, []
        for output in pending:
            output.take_unread()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LlmCall:
    """
    One call of the app for a test.

    Attributes:
        golden: What a golden file of such calls would say.
    """

    llm: Llm
    question: Any
    repeat: int
    reference: str | None
    relevant: tuple[str, ...]
    golden: Golden
    live: bool

    @property
    def rules(self) -> CallRules:
        """What the test says of this call."""
        return replace(call_rules(self.golden), live=self.live)

    def begin(self, loop: asyncio.AbstractEventLoop | None = None) -> Future[Called]:
        """
        Begin the call.

        Args:
            loop: Where an async app runs; by default on the loop that it has for all tests.
        """
        caller = self.llm.caller
        if loop is None and self.llm.needs_main_thread and current_thread() is not main_thread():
            raise NotScoredError("the app is called in the main thread (runs_on), so call llm() there")
        if loop is not None and not isinstance(caller.place, Remote):
            running = RunningLoop(loop)
            place = OnLoop(running) if self.llm.needs_main_thread else Threads(running)
            caller = replace(caller, place=place)
        return self.llm.evaluation.submit(self._call(caller))

    async def _call(self, caller: AppCaller) -> Called:
        with route_through():
            return await caller.call(self.llm.node.nodeid, self.repeat, self.question, self.rules)

    def take(self, called: Future[Called]) -> Output:
        """
        Return the answer of the call, waited for, and note it for the test's markers.

        Raises:
            NotScoredError: There is none, or a model call behind it breaks a rule.
        """
        __tracebackhide__ = True
        answer, spans, turns, *_ = self.llm.evaluation.main_thread.wait(called)
        node = self.llm.node
        self.llm.spans.extend(spans)
        if isinstance(answer, Failure):
            raise NotScoredError(mask(remedy_in_test(answer.error)))
        rules = self.rules
        unlisted = {place: calls for place, calls in answer.elsewhere.items() if not _lists(rules, place)}
        outputs = (replace(answer, elsewhere=unlisted, unseen={}),)
        result = CaseResult(case=node.nodeid, input_hash="", outputs=outputs)
        if unanswered := describe_unanswered([self.golden], [result]):
            raise NotScoredError(mask(remedy_in_test(unanswered)))
        unseen = mask(remedy_in_test(describe_unseen(answer.unseen))) if answer.unseen else ""
        undecided = self.llm.evaluation.settings.undecided
        for line in (*describe_calls([self.golden], [result]), unseen if undecided == "warn" else ""):
            if line and line not in self.llm.warned:
                self.llm.warned.add(line)
                node.warn(GoldenWarning(line.removeprefix("warning: ")))
        self.llm.samples.append(
            Sample(
                output=answer,
                input=self.question.messages() if isinstance(self.question, Script) else self.question,
                reference=self.reference,
                relevant=self.relevant,
                spans=spans,
                case=node.nodeid,
                turns=turns,
            )
        )
        if unseen and undecided == "fail":
            raise NotScoredError(f"undecided, which the setting undecided = 'fail' makes a failure: {unseen}")
        return Conversation.of(answer, turns) if turns else answer


class PendingOutput:
    """
    An `llm()` call inside of a running event loop.

    `await` makes it on that loop. Any other use makes it as in a test without a loop, and blocks until the
    answer is there; what it is used for is passed on to the `Output`.
    """

    __slots__ = ("_call", "_called", "_loop", "_output")

    def __init__(self, call: LlmCall) -> None:
        """Make no call yet."""
        self._call = call
        self._called: Future[Called] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._output: Output | None = None

    def __await__(self) -> Generator[Any, None, Output]:
        """Make the call, and return the `Output`."""
        __tracebackhide__ = True
        if _is_in_trio():
            raise NotScoredError(
                "llm() can be awaited on asyncio, and not on trio: have the fixture anyio_backend return "
                "'asyncio' for this test, or use the output without await"
            )
        if self._called is None:
            self._loop = asyncio.get_running_loop()
            self._called = self._call.begin(self._loop)
        yield from asyncio.wrap_future(self._called).__await__()
        return self.take()

    def take(self) -> Output:
        """
        Return the output, waited for.

        Raises:
            NotScoredError: As `llm()`; or the loop that would have to answer is the one that waits.
        """
        __tracebackhide__ = True
        if self._output is None:
            if self._called is None:
                self._called = self._call.begin()
            if not self._called.done() and self._loop is not None and self._loop is _running_loop():
                raise NotScoredError("this llm() call is under way on the loop of the test: await it first")
            self._output = self._call.take(self._called)
        return self._output

    def take_unread(self) -> None:
        """Make the call if it was not begun, as for a test without a loop."""
        __tracebackhide__ = True
        if self._called is None:
            self.take()

    def __getattr__(self, name: str) -> Any:
        __tracebackhide__ = True
        if name.startswith("__"):  # of those that only look what it is
            raise AttributeError(name)
        return getattr(self.take(), name)

    def __contains__(self, part: str) -> bool:
        __tracebackhide__ = True
        return part in self.take()

    def __getitem__(self, place: int | slice) -> str:
        __tracebackhide__ = True
        return self.take()[place]

    def __len__(self) -> int:
        __tracebackhide__ = True
        return len(self.take())

    def __eq__(self, other: object) -> bool:
        __tracebackhide__ = True
        return self.take() == other

    __hash__ = object.__hash__  # by itself: `asyncio.gather` looks for what it was given twice

    def __str__(self) -> str:
        __tracebackhide__ = True
        return str(self.take())

    def __repr__(self) -> str:
        return "<llm() call, not awaited>" if self._output is None else repr(self._output)


def _list_of(written: Any) -> Any:
    """Return a list for any iterable but a text or a mapping; another value as it is."""
    return (
        list(written) if isinstance(written, Iterable) and not isinstance(written, str | Mapping) else written
    )


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _is_in_trio() -> bool:
    trio = sys.modules.get("trio")
    return trio is not None and bool(trio.lowlevel.in_trio_run())


def _is_in_loop() -> bool:
    return _running_loop() is not None or _is_in_trio()


def remedy_in_test(error: str) -> str:
    """Replace the remedies of golden files in an error with those of a test."""
    for in_file, in_test in _REMEDIES_IN_TESTS.items():
        error = error.replace(in_file, in_test)
    return _ALLOWED.sub(_in_python, error)


def _in_python(allowed: re.Match[str]) -> str:
    hosts = [host.strip('"') for host in allowed[1].split(", ")]
    return f"record={json.dumps({'allow': hosts}, ensure_ascii=False)}"


def _lists(rules: CallRules, place: str) -> bool:
    """Return whether the app may send what is no model call to a place, as outputs name it."""
    name, number = split_host(place)
    host = name.strip("[]")
    return rules.allows(host, int(number) if number else None, host)
