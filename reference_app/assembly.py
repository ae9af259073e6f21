"""Putting the graph together from the settings."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reference_app.state import NOT_KNOWN, State  # langgraph reads the hints of routing functions

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from langgraph.checkpoint.memory import InMemorySaver
    from langgraph.graph.state import CompiledStateGraph

    from reference_app.documents.encoders import Encoders
    from reference_app.models.client import Models
    from reference_app.models.prompt import Prompt
    from reference_app.models.weights import Weights
    from reference_app.nodes.answerer import Answerer
    from reference_app.nodes.planner import Planner
    from reference_app.nodes.telling import Telling
    from reference_app.settings import Settings
    from reference_app.tools.toolbox import Complete, Toolbox

SQL_TOKENS = 400
KEPT = [("reference_app.state", name) for name in ("Plan", "Call", "Finding", "Evidence")] + [
    ("reference_app.tools.calls", "ToolCall"),
    ("reference_app.dialogue.intents", "Intent"),
    ("reference_app.documents.knowledge", "Section"),
    ("reference_app.documents.search", "Found"),
]
"""What a question that waits for a person is made of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """
    Attributes:
        graph: Compiled; its state is `State`.
        saver: Keeps a question while a person decides, in memory.
        nodes: By their names in the graph; for who runs some of them in another order.
        telling: Says what tools found and what they ask.
        planner: The node, also used alone, as the answerer.
        tool_definitions: What a plan may call, as the conventions for spans write it.
        close: Ends what the tools started.
    """

    graph: CompiledStateGraph[Any]
    saver: InMemorySaver
    nodes: Mapping[str, Any]
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
    from reference_app.documents.encoders import open_encoders
    from reference_app.tools.toolbox import open_toolbox

    vectors = open_encoders(settings, weights, models)
    tools = open_toolbox(settings, vectors.encode, sql_writer(settings, models))
    with ExitStack() as opened:
        opened.callback(tools.close)  # where something else is broken
        nodes = _open_nodes(settings, models, vectors, tools)
        graph, saver = _connect(nodes)
        opened.pop_all()
    return Parts(
        graph=graph,
        saver=saver,
        nodes=nodes,
        telling=nodes["answerer"].telling,
        planner=nodes["planner"],
        answerer=nodes["answerer"],
        tool_definitions=_define(tools),
        close=tools.close,
    )


def _open_planner(settings: Settings, models: Models, vectors: Encoders, tools: Toolbox) -> Planner:
    from reference_app.nodes.planner import Planner

    prompt = _load_prompt(settings, "planner")
    examples = [asked for asked, _ in prompt.examples]
    return Planner(
        models,
        prompt,
        vectors.of_questions(examples) if examples else None,
        understands=lambda question: tools.understand(question) is not None,
        concerns=tools.concerns,
        find_names=tools.find_names,
        writes_queries=settings.model is not None,
        grounded="grounding" in settings.guards,
    )


def _open_answerer(settings: Settings, models: Models) -> Answerer:
    from reference_app.models.prompt import load_prompt
    from reference_app.nodes.answerer import Answerer
    from reference_app.nodes.telling import REPLIES, Telling

    telling = Telling(load_prompt(settings.prompts, "answerer", replies=tuple(REPLIES)).replies)
    return Answerer(
        models=models,
        prompt=_load_prompt(settings, "answerer"),
        telling=telling,
        tuned=settings.tuned,
        grounded="grounding" in settings.guards,
    )


def _open_nodes(settings: Settings, models: Models, vectors: Encoders, tools: Toolbox) -> dict[str, Any]:
    """All nodes by their names, in the order of the graph."""
    from reference_app.documents.knowledge import load_asked, load_knowledge
    from reference_app.documents.search import Library
    from reference_app.nodes.guards import InputGuard, OutputGuard, suspect
    from reference_app.nodes.intake import Intake
    from reference_app.nodes.reader import Reader
    from reference_app.nodes.retriever import Retriever
    from reference_app.nodes.tools import Confirming, ToolUse, find_asker, screen_calls

    answerer = _open_answerer(settings, models)
    planner = _open_planner(settings, models, vectors, tools)
    guarded, role = "input" in settings.guards, settings.role
    screening = screen_calls(tools.registry, role, settings.guards, tools.unsigned)
    asker = find_asker(role, settings.guards)
    screen: Callable[[str], str | None] = suspect if guarded else lambda _: None
    sections = load_knowledge(settings.knowledge)
    library = Library(sections, load_asked(settings.knowledge), vectors.of_passages, vectors.of_questions)
    return {
        "input_guard": InputGuard(answerer.telling, on=guarded),
        "intake": Intake(models),
        "planner": planner,
        "reader": Reader(tools.attachments, settings.pages, vectors.encode, role),
        "retriever": Retriever(
            library,
            top_k=settings.top_k,
            sentences=answerer.prompt.sentences,
            name_products=lambda text: frozenset(tools.find_names(text).products),
            suspect=screen,
        ),
        "approval": Confirming(tools.registry, role, screening, asker),
        "tools": ToolUse(tools.registry, role, screening, screen, asker),
        "answerer": answerer,
        "output_guard": OutputGuard(
            answerer.telling,
            known=frozenset(one.id for one in sections),
            secrets=(planner.prompt.template, answerer.prompt.template),
            on="output" in settings.guards,
            tokens=settings.vault is not None and "redaction" in settings.guards,
        ),
    }


def _define(tools: Toolbox) -> list[dict[str, Any]]:
    return [
        {
            "type": "function",
            "name": one.name,
            "description": one.description,
            "parameters": one.parameters,
        }
        for one in tools.registry.tools
        if one.name not in tools.unsigned
    ]


def _load_prompt(settings: Settings, name: str) -> Prompt:
    from reference_app.models.prompt import load_prompt

    return load_prompt(settings.prompts, f"adapter-{name}" if settings.tuned else name)


def sql_writer(settings: Settings, models: Models) -> Complete | None:
    """The chat model where it is not the embedded one, which cannot write SQL."""
    if settings.model is None:
        return None
    from reference_app.models.prompt import load_prompt

    prompt = load_prompt(settings.prompts, "sql")
    return lambda messages: models.complete(prompt, messages, max_tokens=SQL_TOKENS)


def _connect(nodes: dict[str, Any]) -> tuple[CompiledStateGraph[Any], InMemorySaver]:
    from langgraph.checkpoint.memory import InMemorySaver
    from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
    from langgraph.graph import END, START, StateGraph

    graph = StateGraph(State)
    for name, node in nodes.items():
        graph.add_node(name, node)
    graph.add_edge(START, "input_guard")
    graph.add_conditional_edges("input_guard", _after_input, ["intake", "output_guard"])
    graph.add_conditional_edges(
        "intake",
        lambda state: "reader" if nodes["reader"].list_calls(state) else "planner",
        ["planner", "reader"],
    )
    graph.add_conditional_edges("planner", _after_plan, ["retriever", "approval", "planner", "answerer"])
    graph.add_edge("approval", "tools")
    graph.add_conditional_edges("tools", _after_tools, ["retriever", "planner", "answerer"])
    graph.add_conditional_edges("retriever", _next, ["planner", "answerer"])
    graph.add_edge("reader", "answerer")
    graph.add_edge("answerer", "output_guard")
    graph.add_edge("output_guard", END)
    saver = InMemorySaver(serde=JsonPlusSerializer(allowed_msgpack_modules=KEPT))
    return graph.compile(checkpointer=saver), saver


def _after_input(state: State) -> str:
    return "output_guard" if state.get("suspicion") else "intake"


def _after_plan(state: State) -> str:
    route = state["plan"].route
    if route == "ask" or (route == "refuse" and not state["plan"].search):
        return _next(state)
    return "approval" if route in ("tools", "database") else "retriever"


def _after_tools(state: State) -> str:
    """What a tool does not know may stand in a document."""
    finding = state["findings"][-1]
    errors = {(call.result or {}).get("error") for call in finding.calls}
    return "retriever" if finding.plan.search or errors <= NOT_KNOWN else _next(state)


def _next(state: State) -> str:
    """The next question of the message, or the answer to all."""
    return "planner" if len(state["findings"]) < len(state["intents"]) else "answerer"
