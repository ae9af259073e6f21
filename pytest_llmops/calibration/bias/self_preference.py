"""Warnings of judges that judge answers of their own family, which they tend to favour."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pytest_llmops.printable import counted, printable
from pytest_llmops.records import CaseResult, Score


def warn_of_self_preference(results: Iterable[CaseResult]) -> list[str]:
    """
    A sentence for each metric, judge and app model of one family, with how many answers it judged.

    A judge's family stands in the evidence of its scores; the app's is that of the model that
    answered the same repeat. Where either is not known nothing is said.
    """
    from pytest_llmops.judges.model import family_of

    counts: Counter[tuple[str, str, str, str]] = Counter()
    for result in results:
        models = {output.repeat: output.model for output in result.outputs}
        for score in result.scores:
            model = models.get(score.repeat)
            for name, family in judges_of(score) if model else ():
                if model and family_of(model) == family:
                    counts[score.metric, name, family, model] += 1
    return [
        f"{printable(metric)}: the judge {printable(name, 80)} judged {counted(count, 'answer')} of "
        f"{printable(model, 80)}, of its own family ({printable(family, 40)}), which judges tend to favour: "
        "take a judge of another family, or see by labelled pairs how far it does: "
        "llmops calibrate pairwise PAIRS.jsonl --label FIELD"
        for (metric, name, family, model), count in sorted(counts.items())
    ]


def judges_of(score: Score) -> list[tuple[str, str]]:
    """The models that judged, each with its family: one, the members of a panel, or none."""
    entries = [each for each in score.evidence if isinstance(each, Mapping)]
    members: Sequence[Mapping[str, Any]] = [each for each in entries[1:] if "judge" in each] or entries[:1]
    return [
        (str(each.get("judge") or each["family"]), str(each["family"]))
        for each in members
        if each.get("family")
    ]
