"""Mutation tests of golden sets: could a wrong answer turn them red?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pytest_llmops.hookspecs import Verb, hookimpl


@hookimpl
def llmops_verbs() -> Sequence[Verb]:
    return [
        Verb(
            name="mutate",
            module=f"{__name__}.command",
            help="could a wrong answer turn a golden set red? its mutation score, and checks that it lacks",
            page="docs/mutate.md",
        ),
    ]


@hookimpl
def llmops_suite_keys() -> Mapping[str, str]:
    return {"mutation": f"{__name__}.bounds:read_mutation"}


@hookimpl
def llmops_measure() -> Mapping[str, str]:
    return {"mutation": f"{__name__}.session:measure_in_session"}


@hookimpl
def llmops_accepted_files() -> Mapping[str, str]:
    return {"mutation.json": f"{__name__}.stored:list_lost"}
