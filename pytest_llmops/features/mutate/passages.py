"""Outputs with other passages than those that were retrieved."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from pytest_llmops.records import Case, Output, Passage

Changed = tuple[str, Output, str]
"""Kind, output and the change in short."""


def passage_mutants(case: Case, output: Output, others: Sequence[Passage]) -> Iterator[Changed]:
    """
    Yield an output for each kind that makes the retrieval of this case worse.

    Where the case names its relevant passages, a best passage that is none of them may be missing: without it
    the retrieval is as good as before, which is no mutant.

    Args:
        others: Passages of other cases, in an order that depends on the case.
    """
    passages = output.passages or ()
    if not passages:
        return
    best, *rest = passages
    matters = not case.relevant or best.id in case.relevant
    if matters:
        yield "top_dropped", replace(output, passages=tuple(rest)), f"without {best.id}"
        own = {passage.id for passage in passages} | {*case.relevant}
        wrong = next((passage for passage in others if passage.id not in own), None)
        if wrong is not None:
            changed = (replace(wrong, score=best.score), *rest)
            yield "wrong_document", replace(output, passages=changed), f"{best.id} → {wrong.id}"
        if rest:
            # Scores stay in place: whoever sorts by them would undo it.
            order = (*rest[::-1], best)
            moved = [
                replace(passage, score=place.score) for passage, place in zip(order, passages, strict=True)
            ]
            yield "shuffled", replace(output, passages=tuple(moved)), f"{best.id} comes last"
    yield "no_passages", replace(output, passages=()), f"without all {len(passages)}"
