"""
Recorded calls of a change compared with those of its merge base.

A changed prompt makes new requests, and new recordings of these are normal. An edited recording, or one more
of a request that nobody changed, is not; neither is a recording that was deleted although its request is
still made, for another answer takes its place. One that was made again and has the same answer is no edit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

from pytest_llmops.errors import CassetteError
from pytest_llmops.evaluation.merge_base.files import list_checks
from pytest_llmops.gates.renames import rename_case
from pytest_llmops.golden.identity import cases_by_id
from pytest_llmops.judges.injection import CANARY
from pytest_llmops.printable import name_some
from pytest_llmops.recorder.bodies import event_lines
from pytest_llmops.recorder.cassettes import Calls, Recorded, cassette_path, parse_calls
from pytest_llmops.records import Golden
from pytest_llmops.revision.git import run_git
from pytest_llmops.revision.loosening import Loosening, digest_of
from pytest_llmops.revision.recordings import REPLAYED, RecordedChanges
from pytest_llmops.revision.revision import Revision
from pytest_llmops.settings import Settings

_NAMED = 3
_CALL_IDS = frozenset({"id", "created", "created_at"})
_TIME = "latency_s"


def compare_recordings(  # noqa: PLR0913 - both sides of the change
    old: Sequence[Golden],
    revision: Revision,
    settings: Settings,
    then: Settings,
    *,
    moved: Mapping[str, str],
    judged: bool,
) -> RecordedChanges:
    """
    Compare the recordings of old cases, if this run would replay them.

    Args:
        then: The settings of the revision, which name the folder that its recordings are in.
        moved: Old path of a golden file to the path that it has now.
        judged: A judge was named then; before that, no verdict on its canary was recorded.
    """
    if settings.record == "all":
        return RecordedChanges()
    items = [*cases_by_id(*old), CANARY]
    before_in, now_in = PurePosixPath(then.cassettes), PurePosixPath(settings.cassettes)
    paths = {item: cassette_path(before_in, item).as_posix() for item in items}
    contents = revision.read_all(paths.values())
    loosened = list(_list_committed_homes(revision, settings, then))
    deleted: dict[str, Mapping[tuple[str, int], str]] = {}
    further: dict[str, Mapping[tuple[str, int], str]] = {}
    known: dict[str, frozenset[str]] = {}
    fresh = 0
    timed = any(check.metric == _TIME for check in list_checks(old))
    for item, was in paths.items():
        now = rename_case(item, moved)
        path = cassette_path(now_in, now).as_posix()
        file, old_text = settings.path(path), contents[was]
        text = file.read_bytes() if file.is_file() else None
        if old_text == text:
            continue
        about = Loosening(place=path, case=now, what="", digest=digest_of(text or b""))
        try:
            before, after = (
                {} if content is None else parse_calls(file, content.decode("utf-8"))
                for content in (old_text, text)
            )
        except (CassetteError, ValueError):
            what = "the recorded calls are not what they were, and cannot be compared"
            loosened.append(replace(about, what=what))
            continue
        edited = _count_edited(before, after, timed=timed)
        new = [place for place in after if place not in before]
        odd = new if item == CANARY and judged else _find_unexplained(before, after)
        known[now] = frozenset(key for key, *_ in before)
        if more := {place[:2]: path for place in new if place[0] in known[now] and place not in odd}:
            further[now] = more
        fresh += len(new) - len(odd)
        counts = [f"{count} {word}" for count, word in ((edited, "edited"), (len(odd), "new")) if count]
        if counts:
            what = f"{REPLAYED}: {' and '.join(counts)}"
            loosened.append(replace(about, what=what))
        if gone := {place[:2]: path for place in before if place not in after}:
            deleted[now] = gone
    return RecordedChanges(
        loosened=tuple(loosened), deleted=deleted, further=further, known=known, fresh=fresh
    )


def _count_edited(before: Calls, after: Calls, *, timed: bool) -> int:
    """
    Count recordings with another answer; one that was made again may have another id and another time.

    The ids must differ as they did: repeats of one id are copies, and count as one.

    Args:
        timed: A check is of time, so that it counts, too.
    """
    shared = [(before[place], call) for place, call in after.items() if place in before]
    ids = {(_call_id(old.body), _call_id(new.body)) for old, new in shared}
    differ_alike = len({old for old, _ in ids}) == len(ids) == len({new for _, new in ids})
    return sum(
        old != new and (timed or not differ_alike or not _says_the_same(old, new)) for old, new in shared
    )


def _call_id(body: Any) -> str:
    events = (event for _, event in event_lines(body)) if isinstance(body, str) else (body,)
    return next((str(event["id"]) for event in events if isinstance(event, Mapping) and "id" in event), "")


def _says_the_same(old: Recorded, new: Recorded) -> bool:
    if not new.path.startswith("/"):  # of a listed request the `id` may be what the app asks for
        return False
    like = replace(new, duration_s=old.duration_s, offset_s=old.offset_s, body=old.body)
    return old == like and _without_call_ids(old.body) == _without_call_ids(new.body)


def _without_call_ids(body: Any) -> Any:
    """An answer without the names and times by which a provider tells its calls apart."""
    if isinstance(body, str):
        return [_without_call_ids(event) if event else line for line, event in event_lines(body)]
    if isinstance(body, Mapping):
        return {key: part for key, part in body.items() if key not in _CALL_IDS}
    return body


def _find_unexplained(before: Calls, after: Calls) -> list[tuple[str, int, int]]:
    """New recordings of a known request, in a repeat of which no request is new."""
    known = {key for key, *_ in before}
    changed = {repeat for key, repeat, _ in after if key not in known}
    return [place for place in after if place not in before and place[0] in known and place[1] not in changed]


def _list_committed_homes(revision: Revision, settings: Settings, then: Settings) -> Iterator[Loosening]:
    command = ["diff-tree", "-r", "-z", "--name-only", "--relative", revision.commit, "HEAD", "--"]
    for place in sorted({then.home, settings.home}):
        inside = not PurePosixPath(place).is_absolute() and ".." not in PurePosixPath(place).parts
        if names := inside and run_git([*command, place], revision.root).strip("\0"):
            shown = name_some(names.split("\0"), _NAMED)
            what = f"the working folder is not for git, and what was committed to it is replayed: {shown}"
            yield Loosening(place=place, what=what)
