"""
Registry of metrics by name: those of the engine, of features, of installed entry points, and of a conftest.

Import paths name the engine's, so that a known name costs no import.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import lru_cache
from importlib import import_module
from typing import Any, cast

from pytest_llmops.errors import (
    LLMOpsError,
    MetricNameError,
    MetricOptionError,
    SettingsError,
    UnknownMetricError,
    describe_error,
    hint,
)
from pytest_llmops.extensions import call_hook, installed
from pytest_llmops.hookspecs import ListLost, MeasureGoldens, Measurement
from pytest_llmops.printable import with_article
from pytest_llmops.protocols import FACTS, Metric, MetricTraits
from pytest_llmops.records import Bound

MetricFactory = Callable[..., Metric]

ENTRY_POINT_GROUP = "pytest_llmops.metrics"

_BUILT_IN: Mapping[str, str] = {
    "rouge_l": "pytest_llmops.metrics.lexical.rouge:RougeL",
    "rouge_1": "pytest_llmops.metrics.lexical.rouge:Rouge1",
    "rouge_2": "pytest_llmops.metrics.lexical.rouge:Rouge2",
    "bleu": "pytest_llmops.metrics.lexical.bleu:Bleu",
    "chrf": "pytest_llmops.metrics.lexical.bleu:Chrf",
    "exact_match": "pytest_llmops.metrics.lexical.exact_match:ExactMatch",
    "keywords": "pytest_llmops.metrics.lexical.keywords:Keywords",
    "keyword_overlap": "pytest_llmops.metrics.lexical.overlap:KeywordOverlap",
    "ngram_overlap": "pytest_llmops.metrics.lexical.overlap:NgramOverlap",
    "regex": "pytest_llmops.metrics.lexical.regex:Regex",
    "json_schema": "pytest_llmops.metrics.lexical.json_schema:JsonSchema",
    "semantic": "pytest_llmops.metrics.semantic.similarity:Semantic",
    "bertscore": "pytest_llmops.metrics.semantic.bertscore:BertScore",
    "cross_encoder": "pytest_llmops.metrics.semantic.similarity:CrossEncoder",
    "judge": "pytest_llmops.judges.rubric:Judge",
    "reference_grade": "pytest_llmops.judges.reference_grade:ReferenceGrade",
    "pairwise": "pytest_llmops.judges.pairwise:Pairwise",
    "recall@k": "pytest_llmops.metrics.retrieval:RecallAtK",
    "precision@k": "pytest_llmops.metrics.retrieval:PrecisionAtK",
    "hit@k": "pytest_llmops.metrics.retrieval:HitAtK",
    "ndcg@k": "pytest_llmops.metrics.retrieval:NdcgAtK",
    "mrr": "pytest_llmops.metrics.retrieval:Mrr",
    "map": "pytest_llmops.metrics.retrieval:MeanAveragePrecision",
    "faithfulness": "pytest_llmops.judges.faithfulness:Faithfulness",
    "facts": "pytest_llmops.metrics.facts:Facts",
    "supported": "pytest_llmops.metrics.support.supported:Supported",
    "answers": "pytest_llmops.metrics.support.answers:Answers",
    "tool_calls": "pytest_llmops.metrics.tools:ToolCalls",
    "tool_order": "pytest_llmops.metrics.tools:ToolOrder",
    "denied_calls": "pytest_llmops.metrics.tools:DeniedCalls",
    "degraded": "pytest_llmops.metrics.degraded:Degraded",
    "finish": "pytest_llmops.metrics.finish:Finish",
    "pii_leak": "pytest_llmops.metrics.pii_leak:PiiLeak",
    "injection": "pytest_llmops.judges.injection:Injection",
    "first_token_s": "pytest_llmops.metrics.spending:FirstTokenS",
    "latency_s": "pytest_llmops.metrics.spending:LatencyS",
    "cost_usd": "pytest_llmops.metrics.spending:CostUsd",
    "tokens": "pytest_llmops.metrics.spending:Tokens",
    "model_calls": "pytest_llmops.metrics.spending:ModelCalls",
    "turns": "pytest_llmops.metrics.turns:Turns",
    "state": "pytest_llmops.metrics.state:State",
    "pass^k": "pytest_llmops.metrics.passing:PassPowerK",
    "pass@k": "pytest_llmops.metrics.passing:PassAtK",
}
"""The engine's metrics and where each is defined: its line here and the traits in its module suffice."""

_ALIASES: Mapping[str, str] = {"lexical": "rouge_l"}
_LABELLED = re.compile(r"(?P<family>[a-z_0-9]+):(?P<label>\S.{0,60})\Z")
_OF_TURN = re.compile(r"turn (?P<turn>[1-9][0-9]{0,3}): (?P<metric>.+)", re.DOTALL)
_AT_K = re.compile(r"(?P<family>[a-z_0-9]+[@^])(?P<k>[1-9][0-9]{0,3})\Z")

_registered: dict[str, MetricFactory] = {}
_proven: set[type] = set()


def turn_metric(turn: int, name: str) -> str:
    """Return the name of the scores of one turn of a conversation, `turn 2: keywords`; turns count from 1."""
    return f"turn {turn}: {name}"


def split_turn(name: str) -> tuple[int, str]:
    """Return the turn of such a name, and the metric; 0 for a metric of whole cases."""
    match = _OF_TURN.fullmatch(name)
    return (int(match["turn"]), match["metric"]) if match else (0, name)


def register_metric(name: str, factory: MetricFactory) -> None:
    """
    Make a metric known under a name, for this process. The same one may be registered again.

    Args:
        name: As golden files will write it; `family@k` where the factory takes `k`.
        factory: Called with the options of a check; returns the metric.

    Raises:
        MetricNameError: The name is that of a built-in or installed metric, or of another one of the project.
    """
    place = _place_of(factory)
    if taken := _find_built_in(name):
        raise MetricNameError(name, place, taken)
    if name in _registered and (other := _place_of(_registered[name])) != place:
        raise MetricNameError(name, place, other)
    _registered[name] = factory
    _parameters.cache_clear()
    find_traits.cache_clear()


def registered_metrics() -> frozenset[str]:
    """Return the names that this process registered so far."""
    return frozenset(_registered)


def forget_metrics(names: Iterable[str]) -> None:
    """Remove registered metrics, at the end of the session that registered them."""
    for name in names:
        _registered.pop(name, None)
    _parameters.cache_clear()
    find_traits.cache_clear()


def _find_built_in(name: str) -> str:
    """Return the place of an engine's or installed metric of this name; empty if there is none."""
    family, _ = _parse(name)
    family = _ALIASES.get(family, family)
    if family in _BUILT_IN:
        return f"{_BUILT_IN[family]}, which is built in"
    return f"{_installed()[family]}, which is installed" if family in _installed() else ""


def _place_of(factory: MetricFactory) -> str:
    """Return `conftest.py:12` for the project's code; else the factory's name."""
    written = inspect.unwrap(getattr(factory, "written", factory))
    try:
        file = inspect.getsourcefile(written)
        line = inspect.getsourcelines(written)[1]
    except (OSError, TypeError):
        return f"{getattr(written, '__module__', '')}:{getattr(written, '__qualname__', repr(written))}"
    return f"{file}:{line}"


def known_metrics() -> tuple[str, ...]:
    """Return every name that a golden file may use, sorted; `@k` is for a whole number."""
    return tuple(sorted({*_BUILT_IN, *_ALIASES, *_registered, *_installed()}))


def metric_options(name: str) -> tuple[str, ...]:
    """
    Return the options of the metric of that name, without those that the name sets (`@3`).

    Raises:
        UnknownMetricError: The name is not registered.
    """
    family, set_by_name = _split(name)
    return tuple(option for option in _parameters(family) if option not in set_by_name)


def metric_factory(name: str) -> MetricFactory:
    """
    Return the factory of the metric of that name: its class, whose direction is known without options.

    Raises:
        UnknownMetricError: The name is not registered.
    """
    return _factory(_split(name)[0])


@lru_cache(maxsize=256)
def find_traits(name: str) -> MetricTraits:
    """
    Return the traits of the metric of that name: its `traits`, or plain attributes of its class or of the
    metric that its factory makes without options. An unknown metric has the usual traits.
    """
    usual = MetricTraits(name=name)
    try:
        declaring: Any = metric_factory(name)
        if isinstance(traits := getattr(declaring, "traits", None), MetricTraits):
            return traits
        if not isinstance(declaring, type):
            declaring = create_metric(name)
    except (UnknownMetricError, MetricOptionError):
        return usual
    facts = {fact: getattr(declaring, fact) for fact in FACTS if fact != "name" and hasattr(declaring, fact)}
    # An attribute with `__get__` is a property or a slot, whose value only instances know.
    return replace(usual, **{fact: value for fact, value in facts.items() if not hasattr(value, "__get__")})


def family_members(family: str) -> tuple[str, ...]:
    """Return the engine's metrics of a family, the usual one first."""
    return tuple(name for name in _BUILT_IN if find_traits(name).family == family)


def create_metric(name: str, options: Mapping[str, Any] | None = None) -> Metric:
    """
    Create the metric of that name with those options.

    Raises:
        UnknownMetricError: The name is not registered.
        MetricOptionError: An option is unknown or its value cannot be, or the metric cannot be loaded.
    """
    family, set_by_name = _split(name)
    values = {**(options or {}), **set_by_name}
    if family.endswith(("@k", "^k")) and "k" not in values:
        raise UnknownMetricError(name, _examples())
    parameters = _parameters(family)
    known = [option for option in parameters if option not in set_by_name]
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    for option in options or {}:
        if option not in known and not takes_any:
            takes = f"It takes: {', '.join(known)}." if known else "It takes none."
            raise MetricOptionError(f"{name} has no option {option!r}.{hint(option, known)} {takes}")
    for option, parameter in parameters.items():
        is_required = parameter.default is parameter.empty and parameter.kind is not parameter.VAR_KEYWORD
        if option not in values and is_required:
            raise MetricOptionError(f"{name} needs the option {option!r}.")
    metric = _make(name, _factory(family), {key: _frozen(value) for key, value in values.items()})
    if type(metric) not in _proven:  # the test costs more than the rest here, and files have many checks
        if not isinstance(metric, Metric):
            kind = with_article(type(metric).__name__)
            raise MetricOptionError(f"{name}: its factory returns no metric, but {kind}.")
        _proven.add(type(metric))
    return metric


def _make(name: str, factory: MetricFactory, options: Mapping[str, Any]) -> Metric:
    try:
        return factory(**options)
    except MetricOptionError:
        raise
    except (TypeError, ValueError) as error:
        raise MetricOptionError(f"{name}: {error}") from None
    except Exception as error:  # noqa: BLE001 - a factory is anybody's code
        raise MetricOptionError(f"{name}: its factory raised {describe_error(error)}") from None


def _split(name: str) -> tuple[str, dict[str, Any]]:
    """
    Return the family of a name, and the options that the name sets.

    Raises:
        UnknownMetricError: The name is not registered.
    """
    name = split_turn(name)[1]
    family, set_by_name = (name, {}) if name in _registered else _parse(name)
    if not _is_known(_ALIASES.get(family, family)):
        raise UnknownMetricError(name, _examples())
    return family, set_by_name


def _parse(name: str) -> tuple[str, dict[str, Any]]:
    """Split `recall@3` into `recall@k` and its k, `deepeval:polite` into `deepeval` and its label."""
    if (match := _LABELLED.match(name)) and _takes_label(match["family"]):
        return match["family"], {"label": match["label"]}
    if match := _AT_K.match(name):
        return f"{match['family']}k", {"k": int(match["k"])}
    return name, {}


def _takes_label(family: str) -> bool:
    return _is_known(family) and "label" in _parameters(family)


def _is_known(name: str) -> bool:
    return name in _registered or name in _BUILT_IN or name in _installed()


def _examples() -> list[str]:
    """Return known names that can be copied, `recall@5` for `recall@k`."""
    return [re.sub(r"(?<=[@^])k$", "5", known) for known in known_metrics()]


@lru_cache(maxsize=256)
def _parameters(family: str) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(_factory(family)).parameters


def _factory(family: str) -> MetricFactory:
    name = _ALIASES.get(family, family)
    if name in _registered:
        return _registered[name]
    path = _BUILT_IN.get(name) or _installed()[name]
    if ":" not in path:
        raise MetricOptionError(f"{family} cannot be loaded from {path}: write it as module:factory")
    try:
        return _load(path)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the module is anybody's
        raise MetricOptionError(f"{family} cannot be loaded from {path}: {describe_error(error)}") from None


@lru_cache(maxsize=256)
def _load(path: str) -> MetricFactory:
    module, _, attribute = path.partition(":")
    return cast("MetricFactory", getattr(import_module(module), attribute))


@lru_cache(maxsize=1)
def _installed() -> Mapping[str, str]:
    """
    Return the import paths of the metrics of features and of entry points, by name.

    Raises:
        MetricNameError: Two have one name, or the name of one is built in.
    """
    of_features = call_hook("llmops_metrics", Mapping)
    added = [(str(name), str(path)) for _, metrics in of_features for name, path in metrics.items()]
    added += [(point.name, point.value) for point in installed(ENTRY_POINT_GROUP)]
    paths: dict[str, str] = {}
    for name, path in added:
        if taken := _BUILT_IN.get(name) or paths.get(name):
            raise MetricNameError(name, path, taken)
        paths[name] = path
    return paths


def read_suite_key(name: str, written: Any) -> Mapping[str, Bound] | None:
    """
    Read the bounds under a key of `suite` that is no metric but a feature's; None for another name.

    Raises:
        ComparisonError: They are wrong.
        MetricOptionError: Their reader cannot be loaded, or broke.
    """
    path = suite_keys().get(name)
    if path is None:
        return None
    try:
        reader: Any = _load(path)
        bounds: Mapping[str, Bound] = reader(written)
    except LLMOpsError:
        raise
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a reader is anybody's code
        raise MetricOptionError(f"{name}: {path} raised {describe_error(error)}") from None
    return bounds


@lru_cache(maxsize=1)
def suite_keys() -> Mapping[str, str]:
    """
    Return the import paths of the readers of features' keys under `suite`, by key.

    Raises:
        LLMOpsError: A feature cannot be loaded, or two have one key.
    """
    paths: dict[str, str] = {}
    for _, keys in call_hook("llmops_suite_keys", Mapping):
        for name, path in keys.items():
            if taken := paths.get(str(name)):
                raise MetricNameError(str(name), str(path), taken)
            paths[str(name)] = str(path)
    return paths


def open_measure(name: str, typed: str, flag: str) -> Callable[..., Measurement]:
    """
    Return the measurement of golden files of that name, by the value of a flag.

    Raises:
        LLMOpsError: No installed feature has it, or the value is wrong.
    """
    for _, paths in call_hook("llmops_measure", Mapping):
        if name in paths:
            open_: MeasureGoldens = cast("Any", _load(paths[name]))
            return open_(typed)
    raise SettingsError(f"{flag}: no installed feature serves this flag")


def accepted_files() -> Mapping[str, ListLost]:
    """
    Return what compares the files that features accept beside the baseline, by their names.

    Raises:
        LLMOpsError: A feature cannot be loaded.
    """
    files = [file for _, paths in call_hook("llmops_accepted_files", Mapping) for file in paths.items()]
    return {name: cast("Any", _load(path)) for name, path in files}


def _frozen(value: Any) -> Any:
    """Return tuples for lists, so that a metric can be hashed and shares batches with its equals."""
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value
