"""
Shards: parts of a golden set for machines that share one run.

The hash of a case's id decides on its shard, so that a case stays in it whatever is added around it. Cases of
one `group` are one unit of the gate's tests and of one shard, by the hash of the group's name.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import Self

from pytest_llmops.golden.identity import case_id
from pytest_llmops.records import Case, Golden


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """
    One of several shards.

    Attributes:
        number: From 1 to `count`.
    """

    number: int
    count: int

    @classmethod
    def of(cls, written: str) -> Self:
        """Return the shard of a setting or run file, `3/8`."""
        number, count = map(int, written.split("/"))
        return cls(number=number, count=count)

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    def has(self, golden: Golden, case: Case) -> bool:
        """Return whether the shard has a case; one of all shards has it."""
        unit = f"group {case.group}" if case.group else case_id(golden, case)
        digest = sha256(unit.encode("utf-8", "surrogatepass")).digest()
        return int.from_bytes(digest[:8], "big") % self.count == self.number - 1


def cases_of(golden: Golden, shard: str | None) -> tuple[Case, ...]:
    """Return the cases of a golden file that a run has: those of its shard, or all."""
    if shard is None:
        return golden.cases
    part = Shard.of(shard)
    return tuple(case for case in golden.cases if part.has(golden, case))
