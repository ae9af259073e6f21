"""Files and folders that a change moved: what was theirs at the merge base is found at its old place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from pytest_llmops.errors import RevisionError
from pytest_llmops.gates.renames import rename_case, rename_cases
from pytest_llmops.golden.identity import input_hash
from pytest_llmops.golden.reviews import Review
from pytest_llmops.printable import printable
from pytest_llmops.records import Case, Golden, Run
from pytest_llmops.revision.git import run_git
from pytest_llmops.revision.revision import Revision


def follow_project(revision: Revision, paths: Iterable[str]) -> Revision:
    """
    Return the revision, seen from the folder that the project had then.

    It was moved where the revision has none of its files here, and has files of these names in another
    folder, from which they are gone.

    Args:
        paths: Of golden files and the baseline, from the project's root.

    Raises:
        RevisionError: Several folders may have been the project's.
    """
    paths = [path for path in paths if not path.startswith("../")]
    if any(content is not None for content in revision.read_all(paths).values()):
        return revision
    top, folders = revision.top, Counter[str]()
    for name in revision.list_names():
        for path in paths:
            if f"/{name}".endswith(f"/{path}") and not (top / name).exists():
                folders[name.removesuffix(path)] += 1
    ranked = folders.most_common(2)
    if len(ranked) > 1 and ranked[0][1] == ranked[1][1]:
        names = " or ".join(printable(folder or ".") for folder, _ in ranked)
        raise RevisionError(
            f"git:{revision.ref}: this project is new here, and was in {names}, which are both gone; "
            "move one project in one change"
        )
    return replace(revision, folder=ranked[0][0]) if ranked else revision


def find_renamed(revision: Revision) -> dict[str, str]:
    """Return the new path of each file that git takes for a renamed one, to its old path; from the top."""
    command = ["diff-tree", "-r", "-z", "-M", "--diff-filter=R", "--name-status", revision.commit, "HEAD"]
    words = run_git(command, revision.top).split("\0")
    return {
        new: old for status, old, new in zip(words[::3], words[1::3], words[2::3], strict=False) if status
    }


def match_goldens(old: Sequence[Golden], new: Sequence[Golden], *, gone: Iterable[str]) -> dict[str, str]:
    """
    Return the old path of each golden file that was renamed, to its new one: most of its cases are there.

    Args:
        gone: Paths of old files that exist no more.
    """
    taken = {golden.path for golden in old}
    fresh = [golden for golden in new if golden.path not in taken]
    gone, moved = {*gone}, dict[str, str]()
    for before in old:
        if before.path not in gone:
            continue
        cases = _questions(before)
        shared = {after.path: len(cases & _questions(after)) for after in fresh}
        path = max(shared, key=lambda path: (shared[path], path), default="")
        if path and 2 * shared[path] >= max(len(cases), 1):
            moved[before.path] = path
            fresh = [golden for golden in fresh if golden.path != path]
    return moved


def _questions(golden: Golden) -> set[tuple[str, str]]:
    return {(case.id, input_hash(case)) for case in golden.cases}


def rename_goldens(goldens: Iterable[Golden], moved: Mapping[str, str]) -> list[Golden]:
    """Return the golden files under their new paths."""

    def rename(case: Case, path: str) -> Case:
        return replace(case, source=case.source and replace(case.source, path=path))

    return [
        replace(
            golden,
            path=moved[golden.path],
            cases=tuple(rename(case, moved[golden.path]) for case in golden.cases),
        )
        if golden.path in moved
        else golden
        for golden in goldens
    ]


def rename_run(run: Run, moved: Mapping[str, str]) -> Run:
    """Return a baseline with the ids that its cases have now."""
    if not moved:
        return run
    cases = {result.case: rename_case(result.case, moved) for result in run.results}
    signature = {}
    for name, value in run.signature.items():
        kind, colon, path = name.partition(":")
        signature[f"{kind}{colon}{moved.get(path, path)}"] = value
    suite = {moved.get(path, path): checks for path, checks in run.suite.items()}
    return replace(rename_cases(run, cases, moved), signature=signature, suite=suite)


def rename_reviews(reviews: Iterable[Review], moved: Mapping[str, str]) -> tuple[Review, ...]:
    return tuple(replace(review, case=rename_case(review.case, moved)) for review in reviews)
