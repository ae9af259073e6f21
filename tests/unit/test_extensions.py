"""A feature of another distribution works, and a broken one is one message."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint, EntryPoints

import pytest

from pytest_llmops import extensions, load_golden, registry
from pytest_llmops.errors import GoldenError, MetricNameError, MetricOptionError
from pytest_llmops.extensions import FeatureError
from pytest_llmops.records import Bound, CaseResult, Comparison, Run
from pytest_llmops.registry import create_metric, known_metrics
from pytest_llmops.reports.html.data import build_data
from pytest_llmops.reports.sides import Sides
from tests.command import main

HEAD = "from pytest_llmops.hookspecs import Verb, hookimpl\n\n"
VERB = "Verb(name='costs', module='our_costs', help='what each case costs')"
GOOD = f"{HEAD}@hookimpl\ndef llmops_verbs():\n    return [{VERB}]\n"
RUN = Run(signature={}, results=(CaseResult(case="golden/a.yaml::x", input_hash=""),))
SIDES = Sides(
    comparison=Comparison(outcome="passed", verdicts=(), level=0.95),
    base=Run(signature={}, results=()),
    named="",
    run=RUN,
    cases={},
)
METRICS = HEAD + "@hookimpl\ndef llmops_metrics():\n    return {!r}\n"


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Install a feature of another distribution, and its modules, for one test."""
    points = list(extensions.installed("pytest_llmops"))
    caches = (extensions._all_points, extensions._load_features, registry._installed, registry.find_traits)
    caches += (registry.suite_keys,)

    def install(feature: str, **modules: str) -> None:
        for name, text in {"our_gate": feature, **modules}.items():
            (tmp_path / f"{name}.py").write_text(text)
            monkeypatch.delitem(sys.modules, name, raising=False)
        ours = EntryPoint(name="cost_report", value="our_gate", group="pytest_llmops")
        for cache in caches:
            cache.cache_clear()
        monkeypatch.setattr(extensions, "entry_points", lambda: EntryPoints([*points, ours]))

    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    yield install
    monkeypatch.undo()
    for cache in caches:
        cache.cache_clear()


def test_a_verb_of_another_distribution(install, capsys):
    do = "def add_arguments(parser):\n    parser.set_defaults(do=lambda _: print('5 cents') or 0)\n"
    install(GOOD, our_costs=do)

    assert main(["costs"]) == 0
    assert capsys.readouterr().out == "5 cents\n"


@pytest.mark.parametrize(
    ("feature", "message"),
    [
        ("raise ImportError('no such library')", "ImportError: no such library"),
        ("raise SystemExit(0)", "SystemExit: 0"),
        ("def broken(:", "SyntaxError"),
        (f"{HEAD}@hookimpl\ndef llmops_verb():\n    return []\n", "llmops_verb"),
        (f"{HEAD}@hookimpl\ndef llmops_verbs():\n    return 1 / 0\n", "ZeroDivisionError"),
        (f"{HEAD}@hookimpl\ndef llmops_verbs():\n    return {VERB}\n", "of type Verb, not Sequence"),
        (f"{HEAD}@hookimpl\ndef llmops_verbs():\n    return ['costs']\n", "'costs', which is no Verb"),
        (GOOD.replace("'costs'", "'run'"), "the verb 'run' is added twice"),
    ],
)
def test_a_broken_feature_is_one_message_of_every_verb(install, capsys, feature, message):
    install(feature)

    assert main(["models", "list"]) == 4
    shown = capsys.readouterr().err
    assert message in shown
    assert shown.count("\n") == 1


@pytest.mark.parametrize(
    ("module", "message"),
    [
        ("import no_such_library_at_all", "ModuleNotFoundError"),
        ("", "AttributeError"),
        ("def add_arguments(parser):\n    pass\n", "has no function `do`"),
    ],
)
def test_a_broken_module_of_a_verb_is_one_message(install, capsys, module, message):
    install(GOOD, our_costs=module)

    assert main(["costs"]) == 4
    assert message in capsys.readouterr().err


def test_a_metric_of_another_distribution_cannot_take_a_name(install):
    install(METRICS.format({"attack": "our_metrics:Attack"}))
    with pytest.raises(MetricNameError, match="attack"):
        known_metrics()
    install(METRICS.format({"keywords": "our_metrics:Keywords"}))
    with pytest.raises(MetricNameError, match="keywords"):
        known_metrics()


@pytest.mark.parametrize(
    ("path", "message"),
    [("our_metrics", "write it as module:factory"), ("our_metrics:Polite", "ZeroDivisionError")],
)
def test_a_metric_that_cannot_be_loaded_is_one_message(install, path, message):
    install(METRICS.format({"polite": path}), our_metrics="1 / 0")

    with pytest.raises(MetricOptionError, match=message):
        create_metric("polite")


KEYS = HEAD + "@hookimpl\ndef llmops_suite_keys():\n    return {!r}\n"
READER = """
from pytest_llmops.extensions import FeatureError
from pytest_llmops.records import Bound, CaseResult, Comparison, Run

def read(written):
    return {name: Bound(comparison=">=", threshold=float(bound)) for name, bound in written.items()}
"""


def test_a_key_under_suite_of_another_distribution(install, tmp_path):
    install(KEYS.format({"carbon": "our_carbon:read"}), our_carbon=READER)
    path = tmp_path / "shop.yaml"
    path.write_text("suite: {carbon: {grams: 5}}\ncases: [{id: a, input: b}]\n")
    golden = load_golden(path, root=tmp_path)
    assert golden.measures == {"carbon": {"grams": Bound(comparison=">=", threshold=5.0)}}
    path.write_text("suite: {carbon: {grams: many}}\ncases: [{id: a, input: b}]\n")
    with pytest.raises(GoldenError, match=r"shop\.yaml:1: carbon: our_carbon:read raised ValueError"):
        load_golden(path, root=tmp_path)


def test_two_features_of_one_key_are_one_message(install, tmp_path):
    install(KEYS.format({"mutation": "our_carbon:read"}), our_carbon=READER)
    (tmp_path / "shop.yaml").write_text("suite: {mutation: {lies: '>= 0.9'}}\ncases: [{id: a, input: b}]\n")
    with pytest.raises(GoldenError, match="our_carbon:read"):
        load_golden(tmp_path / "shop.yaml", root=tmp_path)


def test_a_feature_adds_to_the_report(install):
    install(
        f"{HEAD}from pytest_llmops.hookspecs import ReportParts\n@hookimpl\ndef llmops_report(run):\n"
        "    columns = {'team': {result.case: 'a' for result in run.results}}\n"
        "    return ReportParts(columns=columns, panels={'News': 'key AKIAIOSFODNN7EXAMPLE'})\n"
    )
    data = build_data(SIDES)
    assert data["columns"] == [{"title": "team", "of": {"golden/a.yaml::x": "a"}}]
    assert data["panels"] == [{"title": "News", "text": "key <API_KEY>"}]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return {'panels': {}}", "returned a value of type dict, not ReportParts"),
        ("return ReportParts(panels=['x'])", "llmops_report must return texts by title"),
        ("return ReportParts(columns={'team': {'x': 3}})", "llmops_report must return texts by title"),
        ("raise KeyError('x')", "llmops_report raised KeyError"),
    ],
)
def test_a_feature_that_breaks_the_report_is_named(install, body, message):
    imported = "from pytest_llmops.hookspecs import ReportParts\n"
    install(f"{HEAD}{imported}@hookimpl\ndef llmops_report(run):\n    {body}\n")
    with pytest.raises(FeatureError, match=rf"the feature cost_report .*{message}"):
        build_data(SIDES)
