"""Putting the graph together from the settings."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from reference_app.state import State  # langgraph reads the hints of routing functions
from reference_app.tools.policy import ROLES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from langgraph.checkpoint.memory import InMemorySaver
    from langgraph.graph.state import CompiledStateGraph
    from numpy.typing import NDArray

    from reference_app.documents.index import Vectors
    from reference_app.documents.knowledge import Section
    from reference_app.models.client import Models
    from reference_app.models.prompt import Prompt
    from reference_app.models.weights import Weights
    from reference_app.nodes.answerer import Answerer
    from reference_app.nodes.planner import Planner
    from reference_app.nodes.reader import Reader
    from reference_app.nodes.telling import Telling
    from reference_app.settings import Settings
    from reference_app.state import Call
    from reference_app.tools.registry import Registry
    from reference_app.tools.toolbox import Complete

SQL_TOKENS = 400
NOT_KNOWN = {"no_query", "unknown_product", "unknown_store"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """
    Attributes:
        graph: Compiled; its state is `State`.
        saver: Keeps a question while a person decides, in memory.
        telling: Says what tools found and what they ask.
        planner: The node, also used alone, as the answerer.
        tool_definitions: What a plan may call, as the conventions for spans write it.
        close: Ends what the tools started.
    """

    graph: CompiledStateGraph[Any]
    saver: InMemorySaver
    telling: Telling
    planner: Planner
    answerer: Answerer
    tool_definitions: list[dict[str, Any]]
    close: Callable[[], None]


def assemble(settings: Settings, weights: Weights | None, models: Models) -> Parts:
    """
    Read documents, prompts, policy and index, and connect the nodes.

    Raises:
        AppError: Something that the settings name is missing or broken.
    """
    from reference_app.documents.index import open_vectors
    from reference_app.documents.knowledge import load_knowledge
    from reference_app.models.prompt import load_prompt
    from reference_app.nodes.guards import InputGuard, OutputGuard, suspect
    from reference_app.nodes.reader import Reader
    from reference_app.nodes.retriever import Retriever
    from reference_app.nodes.telling import REPLIES, Telling
    from reference_app.nodes.tools import Confirming, ToolUse, screen_calls
    from reference_app.tools.toolbox import open_toolbox

    def vectors(texts: list[str]) -> Vectors:
        return open_vectors(texts, encoder=models.embedding_model, encode=encode, folder=settings.cache)

    encode = partial(_encode, settings, weights, models)
    sections = load_knowledge(settings.knowledge)
    replies = load_prompt(settings.prompts, "answerer", replies=tuple(REPLIES)).replies
    telling = Telling(replies)
    tools = open_toolbox(settings, encode, _sql_writer(settings, models))
    guarded, role = "input" in settings.guards, settings.role
    screening = screen_calls(
        tools.registry, role, settings.guards, tools.unsigned, hosts=settings.pages.hosts
    )
    planner = _make_planner(settings, models, vectors, replies["mend"], tools.registry)
    answerer = _make_answerer(settings, weights, models, vectors, sections, telling)
    reader = Reader(tools.attachments, settings.pages, encode, role)
    screen: Callable[[str], str | None] = suspect if guarded else lambda _: None
    headed = vectors([f"{one.title}: {one.heading}. {one.text}" for one in sections])
    nodes: dict[str, Any] = {
        "input_guard": InputGuard(models, telling, on=guarded),
        "planner": planner,
        "reader": reader,
        "retriever": Retriever(sections, headed, top_k=settings.top_k, suspect=screen),
        "approval": Confirming(tools.registry, role, screening),
        "tools": ToolUse(tools.registry, role, screening, screen),
        "answerer": answerer,
        "output_guard": OutputGuard(
            telling,
            known=frozenset(one.id for one in sections),
            secrets=_list_prompts(planner, answerer),
            on="output" in settings.guards,
            tokens=settings.vault is not None and "redaction" in settings.guards,
        ),
    }
    graph, saver = _connect(nodes, reader)
    return Parts(
        graph=graph,
        saver=saver,
        telling=telling,
        planner=planner,
        answerer=answerer,
        tool_definitions=[
            {
                "type": "function",
                "name": one.name,
                "description": one.description,
                "parameters": one.parameters,
            }
            for one in tools.registry.tools
            if one.name not in tools.unsigned
        ],
        close=tools.close,
    )


def _list_prompts(planner: Planner, answerer: Answerer) -> tuple[str, ...]:
    """What no answer may repeat, that of the model without its adapter among them."""
    answerers = (answerer, answerer.untuned) if answerer.untuned else (answerer,)
    return (planner.prompt.template, *(one.prompt.template for one in answerers))


def _encode(
    settings: Settings, weights: Weights | None, models: Models, texts: Sequence[str]
) -> NDArray[np.float32]:
    if settings.embedding_model is not None or weights is None:
        return models.embed_many(texts)
    from reference_app.models.encoder import load_encoder

    return load_encoder(weights).encode(texts)


def _load_prompt(settings: Settings, name: str) -> Prompt:
    from reference_app.models.prompt import load_prompt

    return load_prompt(settings.prompts, f"adapter-{name}" if settings.tuned else name)


def _make_planner(
    settings: Settings,
    models: Models,
    vectors: Callable[[list[str]], Vectors],
    mend: str,
    registry: Registry,
) -> Planner:
    from reference_app.nodes.planner import Planner

    prompt = _load_prompt(settings, "planner")
    examples = [asked for asked, _ in prompt.examples]
    return Planner(
        models,
        prompt,
        vectors(examples) if examples else None,
        mend=mend,
        refuse=lambda call: _find_fault(registry, call),
    )


def _make_answerer(  # noqa: PLR0913, PLR0917 - each is one part of it
    settings: Settings,
    weights: Weights | None,
    models: Models,
    vectors: Callable[[list[str]], Vectors],
    sections: Sequence[Section],
    telling: Telling,
) -> Answerer:
    from reference_app.documents.grounding import Grounding, split
    from reference_app.models.prompt import load_prompt
    from reference_app.nodes.answerer import Answerer, Excerpts

    sentences = [sentence for one in sections for sentence in split(one.text)]
    plain = Answerer(
        models=models if weights is None or settings.model else replace(models, chat_model=weights.chat_name),
        prompt=load_prompt(settings.prompts, "answerer"),
        excerpts=Excerpts(sections, sentences, vectors(sentences)),
        grounding=Grounding(sections),
        telling=telling,
        tuned=False,
    )
    if not settings.tuned:
        return plain
    prompt = _load_prompt(settings, "answerer")
    return replace(plain, models=models, prompt=prompt, tuned=True, untuned=plain)


def _sql_writer(settings: Settings, models: Models) -> Complete | None:
    """The chat model where it is not the embedded one, which cannot write SQL."""
    if settings.model is None:
        return None
    from reference_app.models.prompt import load_prompt

    prompt = load_prompt(settings.prompts, "sql")
    return lambda messages: models.complete(prompt, messages, max_tokens=SQL_TOKENS)


def _find_fault(registry: Registry, call: Call) -> str | None:
    """Why nobody could make this call; what only the policy denies a customer is no fault of the plan."""
    decisions = [registry.decide(call.name, call.arguments, role) for role in ROLES]
    return decisions[0].reason if all(each.outcome == "deny" for each in decisions) else None


def _connect(nodes: dict[str, Any], reader: Reader) -> tuple[CompiledStateGraph[Any], InMemorySaver]:
    from langgraph.checkpoint.memory import InMemorySaver
    from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
    from langgraph.graph import END, START, StateGraph

    def after_input(state: State) -> str:
        if state.get("suspicion"):
            return "output_guard"
        return "reader" if reader.list_calls(state) else "planner"

    graph = StateGraph(State)
    for name, node in nodes.items():
        graph.add_node(name, node)
    graph.add_edge(START, "input_guard")
    graph.add_conditional_edges("input_guard", after_input, ["planner", "reader", "output_guard"])
    graph.add_conditional_edges("planner", _after_plan, ["retriever", "approval"])
    graph.add_edge("approval", "tools")
    graph.add_edge("retriever", "answerer")
    graph.add_edge("reader", "answerer")
    graph.add_conditional_edges("tools", _after_tools, ["retriever", "answerer"])
    graph.add_edge("answerer", "output_guard")
    graph.add_edge("output_guard", END)
    kept = [("reference_app.state", "Plan"), ("reference_app.state", "Call")]
    saver = InMemorySaver(serde=JsonPlusSerializer(allowed_msgpack_modules=kept))
    return graph.compile(checkpointer=saver), saver


def _after_plan(state: State) -> str:
    return "approval" if state["plan"].route in ("tools", "database") else "retriever"


def _after_tools(state: State) -> str:
    """What a tool does not know may stand in a document."""
    errors = {(call.result or {}).get("error") for call in state["tool_calls"]}
    return "retriever" if errors <= NOT_KNOWN else "answerer"
