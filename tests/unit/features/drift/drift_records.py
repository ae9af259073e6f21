"""A small app under conditions that a test chooses, and the runs that it would leave."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

from pytest_llmops.features.drift.causes import Drift
from pytest_llmops.records import CaseResult, Check, ModelCall, Output, Passage, Run, Score, ToolCall

FILE = "golden/shop.yaml"
PROMPT = "prompt:prompts/answerer.yaml"


def sign(*parts: object) -> str:
    return sha256(repr(parts).encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """
    What an app answers by: it embeds the question, plans, looks an order up, and answers from a document.

    Attributes:
        spoken: What the app's own code adds to an answer.
        noise: How many answers a model has for one request; `seed` and the repeat draw one.
        stamps: Kinds of parts that the signature names.
        seen: Whether the calls to models are seen.
    """

    prompt: str = "1.0.0"
    weights: str = "a"
    reported: str = "small-1"
    fingerprint: str = "fp_1"
    vectors: str = "v1"
    document: str = "60 days"
    documents: tuple[str, ...] = ("returns", "warranty")
    order: str = "shipped"
    schema: str = "s1"
    spoken: str = ""
    model: str = "small"
    noise: int = 1
    seed: int = 0
    repeats: int = 2
    cases: int = 4
    stamps: tuple[str, ...] = ("prompt", "data", "model", "tools")
    seen: bool = True
    reference: str = "r1"


def run_under(given: Conditions) -> Run:
    results = [_case(f"case-{number}", given) for number in range(given.cases)]
    stamps = {
        "prompt": {PROMPT: f"answerer {given.prompt} {sign(given.prompt)}"},
        "data": {"data:knowledge": sign(given.document, given.documents)},
        "model": {f"model:{given.model}": f"{given.reported} {given.fingerprint}"},
        "tools": {f"tools:{given.model}": sign(given.schema)},
    }
    signature = {f"golden:{FILE}": sign(given.reference), f"app:{FILE}": "shop:answer"}
    for stamp in given.stamps:
        signature |= stamps[stamp]
    return Run(signature=signature, results=tuple(results))


def _case(case: str, given: Conditions) -> CaseResult:
    outputs = [_output(case, repeat, given) for repeat in range(given.repeats)]
    value = 1.0 if given.reference == "r1" else 0.0
    return CaseResult(
        case=f"{FILE}::{case}",
        input_hash=sign(case),
        outputs=tuple(outputs),
        scores=tuple(
            Score(metric="exact_match", value=value, repeat=output.repeat, signature="exact_match|v1")
            for output in outputs
        ),
        checks=(Check(metric="exact_match", comparison=">=", threshold=1.0),),
    )


def _output(case: str, repeat: int, given: Conditions) -> Output:
    def ask(*asked: object) -> ModelCall:
        key = sign(given.model, given.schema, asked)
        return ModelCall(
            key=key,
            model=given.model,
            reported=given.reported,
            fingerprint=given.fingerprint,
            tools=given.schema,
            answer=sign(given.weights, key, int(sign(given.seed, key, repeat), 16) % given.noise),
        )

    question = f"about {case}"
    embedded = ModelCall(
        key=sign("embed", question), kind="embeddings", model="mini", answer=sign(given.vectors, question)
    )
    passages = tuple(Passage(id=name, text=f"{name}: {given.document}") for name in given.documents)
    plan = ask("plan", question)
    lookup = ToolCall(name="order_status", arguments={"order": case}, result={"status": given.order})
    reply = ask("answer", given.prompt, plan.answer, [passage.text for passage in passages], given.order)
    return Output(
        text=f"{reply.answer}{given.spoken}",
        repeat=repeat,
        passages=passages,
        tool_calls=(lookup,),
        model_calls=(embedded, plan, reply) if given.seen else (),
    )


def kinds_of(drift: Drift) -> set[tuple[str, bool]]:
    return {(cause.kind, cause.shown) for cause in drift.causes}
