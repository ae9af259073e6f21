"""
What a prompt's version promises, checked between two states of the prompts: the locked and the present one.

A version names one content. It never falls. Whoever parses answers or offers tools relies on the output
format, the tools and the kind, so to change a format or kind, or to take a tool away, needs a new major
version; to add a tool or a first format does not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from pytest_llmops.printable import printable
from pytest_llmops.prompts.files import Prompt
from pytest_llmops.prompts.versions import Version, parse_version

What = Literal[
    "content", "backwards", "version removed", "tool removed", "output", "kind",
    "unversioned", "unlocked", "new", "gone", "renamed",
]  # fmt: skip

_LOCK = "Run: llmops prompts lock"
_PENDING = ("unversioned", "unlocked", "new", "gone", "renamed")


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptFinding:
    """
    One difference between a prompt and its lock.

    Attributes:
        file: From the project's root.
        name: Of the prompt.
        what: The rule, in a word or two; `unlocked` is a change that keeps every rule.
        reason: What is wrong, without file and name.
        remedy: What to do, as a sentence.
    """

    file: str
    name: str
    what: What
    reason: str
    remedy: str

    @property
    def red(self) -> bool:
        """Whether a check fails for it: for all but a change that keeps the rules."""
        return self.what != "unlocked"

    @property
    def hidden_by_lock(self) -> bool:
        """Whether a new lock would hide that a version's promise was broken."""
        return self.what not in _PENDING


def check_prompts(locked: Iterable[Prompt], current: Iterable[Prompt]) -> tuple[PromptFinding, ...]:
    """
    What the rules say of the prompts that were found, by file.

    Args:
        locked: An earlier state: of the lock, or prompts found in another revision.
        current: The present state of the same paths.
    """
    before = {prompt.path: prompt for prompt in locked}
    after = {prompt.path: prompt for prompt in current}
    pairs = [(before.pop(path), after.pop(path)) for path in sorted(before.keys() & after.keys())]
    pairs += _renamed(before, after)
    findings = [finding for old, new in pairs for finding in _compare(old, new)]
    findings += [_finding(new, "new", "is not in the lock", _LOCK) for new in after.values()]
    findings += [
        _finding(old, "gone", "is in the lock, and the file is gone", f"Restore it, or r{_LOCK[1:]}")
        for old in before.values()
    ]
    return tuple(sorted(findings, key=lambda finding: (finding.file, finding.what)))


def _renamed(before: dict[str, Prompt], after: dict[str, Prompt]) -> Iterator[tuple[Prompt, Prompt]]:
    """Pairs of one content, then of one name, at two paths; takes them out of both."""
    keys: tuple[Callable[[Prompt], str], ...] = (lambda each: each.sha256, lambda each: each.name)
    for key in keys:
        for path, old in sorted(before.items()):
            new = next((each for _, each in sorted(after.items()) if key(each) == key(old)), None)
            if new is not None:
                del before[path], after[new.path]
                yield old, new


def _compare(old: Prompt, new: Prompt) -> list[PromptFinding]:
    findings = [*_broken_promises(old, new)]
    if new.path != old.path:
        findings.append(_finding(new, "renamed", f"was {printable(old.path)}", _LOCK))
    if old.version is None and new.version is None and new.sha256 != old.sha256:
        said = "changed, and it has no version that could say so"
        findings.append(_finding(new, "unversioned", said, f"Give it a version, or r{_LOCK[1:]}"))
    if not findings and new != old:
        said = "differs from what the lock says of it"
        if new.version != old.version:
            said = f"is {new.version}, and the lock holds {old.version or 'no version'}"
        findings.append(_finding(new, "unlocked", said, _LOCK))
    return findings


def _broken_promises(old: Prompt, new: Prompt) -> Iterator[PromptFinding]:
    """Only a prompt that had a version has promised anything."""
    if old.version is None:
        return
    was, now = _numbers(old.version), new.version and _numbers(new.version)
    if not now:
        yield _finding(
            new, "version removed", f"had version {old.version} and has none", "Give it a higher one"
        )
    elif now < was:
        said = f"the version went back from {old.version} to {new.version}"
        yield _finding(new, "backwards", said, f"Set it to {_raised(was)} or above")
    elif now == was and new.sha256 != old.sha256:
        said = f"the content changed, and the version is still {new.version}"
        yield _finding(new, "content", said, f"Raise it to {_raised(was)} or above")
    if now and now[0] > was[0]:
        return
    remedy = f"Raise the version to {was[0] + 1}.0.0"
    for tool in old.tools:
        if tool not in new.tools:
            said = f"the tool {printable(tool)} was removed without a new major version"
            yield _finding(new, "tool removed", said, remedy)
    if old.output and new.output != old.output:
        how = "changed" if new.output else "removed"
        yield _finding(new, "output", f"the output format was {how} without a new major version", remedy)
    if old.kind and new.kind != old.kind:
        said = f"the kind changed from {old.kind} to {new.kind or 'none'} without a new major version"
        yield _finding(new, "kind", said, remedy)


def _finding(prompt: Prompt, what: What, reason: str, remedy: str) -> PromptFinding:
    return PromptFinding(file=prompt.path, name=prompt.name, what=what, reason=reason, remedy=remedy)


def _numbers(version: str) -> Version:
    numbers = parse_version(version)
    if numbers is None:
        raise ValueError(f"a prompt cannot have version {version!r}")
    return numbers


def _raised(version: Version) -> str:
    return f"{version[0]}.{version[1]}.{version[2] + 1}"
