"""What a metric reads of a conversation: all answers, the last one, the transcript, or those of one turn."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from pytest_llmops.protocols import Metric, Reads, reads_of
from pytest_llmops.records import CaseTurn, Output, Passage, Sample, TurnOutput


def join_outputs(turns: Sequence[TurnOutput]) -> Output:
    """
    Return the output of a conversation: the last one, with the texts, passages and tool calls of all turns.

    Usage, model calls and whatever else the recorder saw are left to it.

    Args:
        turns: At least one.
    """
    outputs = [turn.output for turn in turns]
    found = [output.passages for output in outputs if output.passages is not None]
    first_s = [output.first_token_s for output in outputs if output.first_token_s is not None]
    degraded = dict.fromkeys(output.degraded for output in outputs if output.degraded)
    return replace(
        outputs[-1],
        text="\n\n".join(output.text for output in outputs if output.text.strip()),
        passages=_unlike(passage for passages in found for passage in passages) if found else None,
        tool_calls=tuple(call for output in outputs for call in output.tool_calls),
        latency_s=sum(output.latency_s for output in outputs),
        first_token_s=max(first_s) if len(first_s) == len(outputs) else None,
        degraded="; ".join(degraded),
    )


def sample_turn(sample: Sample, turn: int) -> Sample:
    """
    Return the sample of one turn of a conversation: its answer, to the messages up to it.

    Args:
        sample: Of the conversation; its `input` is the history, then a message of the user for each turn.
        turn: Counts from 1.
    """
    asked = sample.turns[turn - 1].asked
    history = sample.input[: len(sample.input) - len(sample.turns)]
    return replace(
        sample,
        output=sample.turns[turn - 1].output,
        input=list_messages(history, sample.turns[:turn])[:-1],
        reference=asked.reference,
        relevant=asked.relevant,
        spans=sample.turns[turn - 1].spans,
        rival=None,
        turns=sample.turns[:turn],
    )


def sample_for(metric: Metric, sample: Sample, *, reads: Reads | None = None) -> Sample:
    """
    Return the sample that a metric of whole cases scores; of one question the one that is there.

    Args:
        reads: In place of what the metric declares.
    """
    if not sample.turns:
        return sample
    reads = reads or reads_of(metric)
    if reads == "last":
        last = sample_turn(sample, len(sample.turns))
        return replace(last, reference=sample.reference, relevant=sample.relevant)
    if reads == "transcript":
        text = write_transcript(sample.turns)
        return replace(sample, output=replace(sample.output, text=text))
    return sample


def write_transcript(turns: Iterable[TurnOutput]) -> str:
    """Return the messages of turns as JSON, in which no answer can pass for a message of the user."""
    return json.dumps(list_messages((), turns), ensure_ascii=False)


def list_messages(history: Iterable[Mapping[str, str]], turns: Iterable[TurnOutput]) -> list[dict[str, str]]:
    """Return the messages so far, oldest first, each with `role` and `content`."""
    exchanges = (
        (
            {"role": "user", "content": turn.asked.user},
            {"role": "assistant", "content": turn.output.text},
        )
        for turn in turns
    )
    return [*map(dict, history), *(message for exchange in exchanges for message in exchange)]


def list_asked(history: Iterable[Mapping[str, str]], asked: Iterable[CaseTurn]) -> list[dict[str, str]]:
    """Return the messages of the user, with the history before them."""
    return [*map(dict, history), *({"role": "user", "content": turn.user} for turn in asked)]


def _unlike(passages: Iterable[Passage]) -> tuple[Passage, ...]:
    """Return passages without those whose id and text were there before."""
    return tuple({(passage.id, passage.text): passage for passage in passages}.values())
