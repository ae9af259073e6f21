"""
The entry point of pytest: options, ini keys, markers and fixtures.

An idle plugin imports only this module and the settings. `--llm-golden`, a marker or a fixture imports the
rest.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Generator, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from pytest_llmops.errors import LLMOpsError, SettingsError
from pytest_llmops.settings import (
    AFFECTED_HELP,
    FLAGS,
    INI_KEYS,
    SETTINGS,
    affected_baseline,
    flag_words,
    load_settings,
    typed_path,
)

if TYPE_CHECKING:
    from pytest_llmops.detect.canaries import PiiFaker
    from pytest_llmops.plugin.assertions.fixtures import Measured
    from pytest_llmops.plugin.assertions.llm import Llm
    from pytest_llmops.protocols import Metric
    from pytest_llmops.records import Output, Span

LOOSEN = "--llm-allow-loosening"
GOLDEN = "golden"
_PREFIX = "llm_"
_GROUP = "llm (golden sets and LLM assertions)"

MARKERS: tuple[tuple[str, str], ...] = (
    ("lexical", "lexical(min, metric='rouge_l', reference=None): word overlap of each llm() answer"),
    ("semantic", "semantic(min, metric='semantic', reference=None): closeness in meaning of each answer"),
    ("judge", "judge(min, metric='judge', rubric=…): what a chat model thinks of each llm() answer"),
    ("pairwise", "pairwise(min, other=None): each llm() answer against another one, or the reference"),
    ("recall_at_k", "recall_at_k(min, k=5, metric='recall', relevant=None): passages that llm() found"),
    ("faithfulness", "faithfulness(min, contexts=None): how far passages bear out each llm() answer"),
    ("tool_calls", "tool_calls(expected, metric='tool_calls'): the tools that each llm() call used"),
    ("pii_leak", "pii_leak(): no personal data in answers or traces"),
    ("injection", "injection(): no instructions to the model in what each llm() call read or answered"),
)


class Hooks:
    """Hooks for a conftest or another plugin."""

    @pytest.hookspec(historic=True)
    def pytest_llmops_register_metrics(self, register: Callable[[str, Callable[..., Metric]], None]) -> None:
        """Make metrics known, before golden files are read: `register("polite", Polite)`."""


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    pluginmanager.add_hookspecs(Hooks)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("llm", _GROUP)
    group.addoption(
        "--llm-golden",
        action="store_true",
        help="run golden sets alone, or the paths given; see ini llm_collect",
    )
    group.addoption(
        "--llm-accept", action="store_true", help="take new cases of this run into golden/baseline.json"
    )
    group.addoption(
        "--llm-isolate",
        action="store_true",
        help="run the app in a process of its own, so that a crash is an error of one case (needs xdist)",
    )
    group.addoption(
        LOOSEN,
        action="append",
        metavar="ITEM",
        help="approve one loosened item, as the run prints it; counts on the command line only",
    )
    group.addoption(
        "--llm-resume",
        action="store_true",
        help="resume a golden run that was killed or stopped: finished cases are not run again",
    )
    group.addoption("--llm-affected", metavar="REF", help=AFFECTED_HELP)
    group.addoption(
        "--llm-dry-run",
        action="store_true",
        help="show the cases, model calls, tokens and dollars that a golden run would take; call nothing",
    )
    group.addoption(
        "--llm-mutate",
        metavar="KIND,…",
        help="then measure whether wrong answers would be red: output, retrieval, model, or kinds of them",
    )
    for name in FLAGS:
        group.addoption(f"--llm-{name.replace('_', '-')}", **flag_words(name))
    for name in INI_KEYS:
        kind: Any = {"type": "args"} if name == "golden" else {}
        parser.addini(f"llm_{name}", SETTINGS[name].help, default=None, **kind)


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """
    Read the flags of the pipeline, before any conftest of the project can change them.

    A golden run without paths runs the golden folder, whose conftest.py may define metrics.
    """
    known = early_config.known_args_namespace
    early_config.add_cleanup(partial(_forget_metrics, _registered_metrics()))
    golden = known.llm_golden or _collects(early_config)
    if golden:
        from pytest_llmops.plugin.golden.selection import read_pipeline

        read_pipeline(early_config)
    if golden and not known.file_or_dir:
        ini = {"golden": early_config.getini("llm_golden") or None}
        with contextlib.suppress(SettingsError):  # reported when the settings are read for good
            settings = load_settings(early_config.rootpath, ("ini", ini))
            usual = early_config.getini("testpaths") or [str(early_config.invocation_params.dir)]
            # Only pytest's search for conftest files sees these; the arguments are parsed anew after it.
            known.file_or_dir = [*usual, *(str(settings.path(path)) for path in settings.golden)]


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> Generator[None, Any, Any]:
    """A golden run continues to its verdict and its run file when the reader of its output closes."""
    if config.getoption("llm_dry_run"):
        config.option.collectonly = True
    elif config.getoption("llm_isolate"):
        from pytest_llmops.plugin.distribution import isolate

        isolate(config)
    if not (config.getoption("llm_golden") or _collects(config)):
        return (yield)
    from pytest_llmops.streams import outlive_readers

    with outlive_readers():
        return (yield)


def pytest_configure(config: pytest.Config) -> None:
    for _, usage in MARKERS:
        config.addinivalue_line("markers", usage)
    config.addinivalue_line("markers", f"{GOLDEN}(path): run the test for each `case` of a golden file")
    config.hook.pytest_llmops_register_metrics.call_historic(kwargs={"register": _register})
    config.option.llm_golden = config.getoption("llm_golden") or _collects(config)
    flags = [name for name in FLAGS if config.getoption(f"llm_{name}") is not None]
    if (flags or config.getini("llm_budget")) and not config.getoption("llm_golden"):
        from pytest_llmops.plugin.session import session_of

        session_of(config)  # a wrong flag is one message, and not an error of every test
    useless = [
        name
        for name in ("out", "shard", "html", "baseline", "export", "accept", "mutate", "dry_run", "affected")
        if config.getoption(f"llm_{name}")
    ]
    if useless and not config.getoption("llm_golden"):
        named = " and ".join(f"--llm-{name.replace('_', '-')}" for name in useless)
        raise pytest.UsageError(f"{named} belongs to a golden run: add --llm-golden")
    if config.getoption("llm_golden"):
        from pytest_llmops.plugin.golden.golden_plugin import open_golden_run

        open_golden_run(config)


def _collects(config: pytest.Config) -> bool:
    """Return whether the settings enable golden items; a project without them pays for reading one file."""
    written = config.getini("llm_collect") or None
    if written is None:
        try:
            text = (config.rootpath / "pyproject.toml").read_text(encoding="utf-8")
        except (OSError, ValueError):
            return False
        if "pytest-llmops" not in text or "collect" not in text:
            return False
    try:
        return load_settings(config.rootpath, ("ini file, keys llm_…", {"collect": written})).collect
    except SettingsError as error:
        raise pytest.UsageError(str(error)) from None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if metafunc.definition.get_closest_marker(GOLDEN):
        from pytest_llmops.plugin.assertions.golden_cases import parametrize

        parametrize(metafunc)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    names = {name for name, _ in MARKERS}
    if any(mark.name in names for item in items for mark in item.iter_markers()):
        from pytest_llmops.plugin.assertions.markers import MarkedTests

        config.pluginmanager.register(MarkedTests.of(items), "llmops-marked")
    replaced = {message: item for item in items for message in _find_replaced(item)}
    if replaced:
        from pytest_llmops.plugin.reported import GoldenWarning

        for message, item in replaced.items():
            try:
                item.warn(GoldenWarning(message))
            except GoldenWarning:
                raise pytest.UsageError(message) from None


def _find_replaced(item: pytest.Item) -> Iterator[str]:
    """Yield a sentence for each fixture of ours that a test with `llm` gets from the project instead."""
    names = getattr(item, "fixturenames", ())
    if "llm" not in names:
        return
    defined: dict[str, Any] = item._fixtureinfo.name2fixturedefs  # type: ignore[attr-defined] # noqa: SLF001 - no other way
    for name in (name for name, _ in MARKERS if name in names):
        own = defined[name][-1]
        if own.func.__module__ == __name__ or name in own.argnames:  # it may build on ours
            continue
        code = getattr(own.func, "__code__", None)
        place = f"{code.co_filename}:{code.co_firstlineno}" if code else own.func.__module__
        yield f"the fixture {name} is that of {place}; the one of pytest-llmops is {_PREFIX}{name}"


def pytest_assertrepr_compare(
    config: pytest.Config, op: str, left: object, right: object
) -> list[str] | None:
    """Explain a score, so that pytest does not print the complete answer and its secrets; and a text."""
    if isinstance(left, str) != isinstance(right, str):  # an output with a string is compared by its text
        texts = [side if isinstance(side, str) else _text_of(side) for side in (left, right)]
        if None not in texts:
            from pytest_llmops.printable import printable

            compare = config.hook.pytest_assertrepr_compare
            explained = filter(None, compare(config=config, op=op, left=texts[0], right=texts[1]))
            return next(explained, [f"'{printable(texts[0])}' {op} '{printable(texts[1])}'"])
    for side, other in ((left, right), (right, left)):
        kind = type(side)
        if (kind.__module__, kind.__name__) == ("pytest_llmops.plugin.assertions.fixtures", "Measured"):
            measured: Measured = side  # type: ignore[assignment]
            return measured.explain(op, other, on_the_right=side is right)
    return None


def _text_of(side: object) -> str | None:
    """Return the text of an `Output`, by which an assert compares it with a string; else None."""
    kind = type(side)
    if (kind.__module__, kind.__name__) == ("pytest_llmops.records", "Output"):
        output: Output = side  # type: ignore[assignment]
        return output.text
    return None


def _register(name: str, factory: Callable[..., Metric]) -> None:
    from pytest_llmops.registry import register_metric

    try:
        register_metric(name, factory)
    except LLMOpsError as error:
        raise pytest.UsageError(str(error)) from None


def _registered_metrics() -> frozenset[str]:
    registry = sys.modules.get("pytest_llmops.registry")
    return registry.registered_metrics() if registry else frozenset()


def _forget_metrics(before: frozenset[str]) -> None:
    """Unregister metrics of this session's conftest files: another session may have other ones."""
    if own := sys.modules.get("pytest_llmops.golden.own_metrics"):
        before |= own.kept_metrics
    if registry := sys.modules.get("pytest_llmops.registry"):
        registry.forget_metrics(_registered_metrics() - before)


def written_settings(config: pytest.Config) -> tuple[tuple[str, dict[str, Any]], ...]:
    """Return ini keys and flags, weakest first, with their place for errors."""
    ini = {name: config.getini(f"llm_{name}") or None for name in INI_KEYS}
    flags = {name: config.getoption(f"llm_{name}") for name in FLAGS}
    for name in ("out", "html", "baseline"):
        flags[name] = typed_path(name, flags[name], config.invocation_params.dir)
    flags["baseline"] = affected_baseline(
        config.getoption("llm_affected"), flags["baseline"], dry=config.getoption("llm_dry_run")
    )
    return (("ini file, keys llm_…", ini), ("command line, flags --llm-…", flags))


@pytest.fixture(scope="session")
def llm_app() -> Any:
    """The app under test; override it in a conftest.py to return a custom callable."""
    return None


@pytest.fixture
def llm(request: pytest.FixtureRequest, llm_app: Any) -> Iterator[Llm]:
    """Call the app: `llm(question, reference=None, relevant=())` returns its `Output`; or `await` it."""
    from pytest_llmops.plugin.assertions.llm import Llm

    try:
        llm = Llm.of(request.node, llm_app)
        if llm.needs_main_thread:
            from pytest_llmops.plugin.loops import use_loop_of_tests

            use_loop_of_tests(request)
    except LLMOpsError as error:
        raise pytest.fail.Exception(str(error), pytrace=False) from None
    yield llm
    llm.finish()


@pytest.fixture
def llm_traces(llm: Llm) -> list[Span]:
    """The spans of every `llm()` call of this test so far."""
    return llm.spans


@pytest.fixture
def lexical(request: pytest.FixtureRequest) -> Callable[..., Measured]:
    """`lexical(answer, reference, metric="rouge_l")`, a number that explains itself in an assert."""
    return _measure(request)


@pytest.fixture
def semantic(request: pytest.FixtureRequest) -> Callable[..., Measured]:
    """`semantic(answer, reference, metric="semantic")`: closeness in meaning; a cosine is from -1 to 1."""
    return _measure(request)


@pytest.fixture
def judge(request: pytest.FixtureRequest) -> Callable[..., Measured]:
    """`judge(answer, question, reference, contexts=…, rubric=…)`: the judgement of a chat model."""
    return _measure(request)


@pytest.fixture
def pairwise(request: pytest.FixtureRequest) -> Callable[..., Measured]:
    """`pairwise(answer, other, question)`: 1 where a chat model prefers the first, 0.5 for a tie, else 0."""
    return _measure(request)


@pytest.fixture
def recall_at_k(request: pytest.FixtureRequest) -> Callable[..., Measured]:
    """`recall_at_k(output, relevant, k=5)`: share of the relevant ids among the first k passages."""
    return _measure(request)


@pytest.fixture
def faithfulness(request: pytest.FixtureRequest) -> Callable[..., Measured]:
    """`faithfulness(answer, contexts)`: how far texts bear an answer out, 0 to 1."""
    return _measure(request)


@pytest.fixture
def tool_calls(request: pytest.FixtureRequest) -> Callable[..., Measured]:
    """`tool_calls(output, expected)`: whether the tools were called as expected."""
    return _measure(request)


@pytest.fixture
def pii_leak(request: pytest.FixtureRequest) -> Callable[..., Measured]:
    """`pii_leak(answer, spans=())`: how many pieces of personal data an answer and its spans hold."""
    return _measure(request)


@pytest.fixture
def injection(request: pytest.FixtureRequest) -> Callable[..., Measured]:
    """`injection(text, contexts=…)`: how much a text, or an output, reads like an instruction to a model."""
    return _measure(request)


@pytest.fixture
def llm_lexical(request: pytest.FixtureRequest) -> Callable[..., Measured]:
    """As the fixture `lexical`, where a project has another one of that name."""
    return _measure(request)


@pytest.fixture
def llm_semantic(request: pytest.FixtureRequest) -> Callable[..., Measured]:
    """As the fixture `semantic`, where a project has another one of that name."""
    return _measure(request)


@pytest.fixture
def llm_judge(request: pytest.FixtureRequest) -> Callable[..., Measured]:
    """As the fixture `judge`, where a project has another one of that name."""
    return _measure(request)


@pytest.fixture
def llm_pairwise(request: pytest.FixtureRequest) -> Callable[..., Measured]:
    """As the fixture `pairwise`, where a project has another one of that name."""
    return _measure(request)


@pytest.fixture
def llm_recall_at_k(request: pytest.FixtureRequest) -> Callable[..., Measured]:
    """As the fixture `recall_at_k`, where a project has another one of that name."""
    return _measure(request)


@pytest.fixture
def llm_faithfulness(request: pytest.FixtureRequest) -> Callable[..., Measured]:
    """As the fixture `faithfulness`, where a project has another one of that name."""
    return _measure(request)


@pytest.fixture
def llm_tool_calls(request: pytest.FixtureRequest) -> Callable[..., Measured]:
    """As the fixture `tool_calls`, where a project has another one of that name."""
    return _measure(request)


@pytest.fixture
def llm_pii_leak(request: pytest.FixtureRequest) -> Callable[..., Measured]:
    """As the fixture `pii_leak`, where a project has another one of that name."""
    return _measure(request)


@pytest.fixture
def llm_injection(request: pytest.FixtureRequest) -> Callable[..., Measured]:
    """As the fixture `injection`, where a project has another one of that name."""
    return _measure(request)


@pytest.fixture
def pii_faker(request: pytest.FixtureRequest) -> PiiFaker:
    """`pii_faker.person()`: somebody invented, with canaries for data; the same in each run of a test."""
    from zlib import crc32

    from pytest_llmops.detect.canaries import PiiFaker

    return PiiFaker(crc32(request.node.nodeid.encode()))


def _measure(request: pytest.FixtureRequest) -> Callable[..., Measured]:
    """Return the function of `fixtures` that is named as the fixture, for one test."""
    from pytest_llmops.plugin.assertions import fixtures
    from pytest_llmops.plugin.reported import mask_reports

    mask_reports(request.config)
    return partial(getattr(fixtures, str(request.fixturename).removeprefix(_PREFIX)), request.node)
