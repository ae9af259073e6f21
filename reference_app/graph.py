"""
The flow of one message through the agent.

    guard_input → planner → approve → tools → retriever → answerer → guard_output
                                         rewriter ↗      ↙

The chat model plans (which tools to call, what to search), answers from what was found, and writes another
search query where that held no answer. The rest keeps it honest: a plan can only name what a customer wrote,
a person confirms what changes something, and a draft that its material does not bear out is not used.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from langchain_core.messages import AIMessage, HumanMessage, RemoveMessage, ToolMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.graph import END, START, StateGraph
from langgraph.prebuilt import ToolNode
from langgraph.runtime import Runtime  # noqa: TC002 - langgraph reads the hints of nodes
from langgraph.types import Command, interrupt

from reference_app import tuned
from reference_app.errors import CutReplyError, EndpointError
from reference_app.guardrails.injection import scan
from reference_app.plans import OWN, SEARCH, PlanError, make_schema, read_plan
from reference_app.state import APOLOGY, State
from reference_app.tools.attachments import FILE, PAGE, cut_text
from reference_app.tools.calls import ToolCall
from reference_app.tools.gate import is_poisoned
from reference_app.tools.registry import NOT_OWN, UNSIGNED, Confirmation
from reference_app.tracing import trace, trace_guard

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from langchain_core.messages import AnyMessage
    from langgraph.graph.state import CompiledStateGraph
    from langgraph.prebuilt.tool_node import ToolCallRequest

    from reference_app.documents.search import Library
    from reference_app.models.client import Models
    from reference_app.models.prompt import Prompt
    from reference_app.settings import Settings
    from reference_app.tools.gate import Gate

PLAN_TOKENS, ANSWER_TOKENS, QUERY_TOKENS = 256, 320, 40
ATTACHED_CHARACTERS = 2000
FACTS, ANSWER = "Facts:", "Answer:"
NOTHING = "None"  # as facts: the material holds none
REJECTED = "a person did not confirm it"
ATTACHED = "attached"  # begins the ids of calls that no model asked for
EARLIER_CHARACTERS, RESULT_CHARACTERS = 400, 3000
EARLIER = 6  # messages before the last one that models read
_CITED = re.compile(r"\[([\w.-]+#[\w.-]+)\]")
_APOLOGY = re.compile(r"I am sorry, (?:but )?I could not find[^.]*\.?")  # for a part of what was asked
_URL = re.compile(r"https?://[^\s<>\"'`\])}]+", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What the nodes work with; the same for all messages."""

    settings: Settings
    models: Models
    prompts: dict[str, Prompt]
    tools: Gate
    library: Library

    def say(self, occasion: str, **values: str) -> str:
        """One of the app's own sentences."""
        return self.prompts["replies"].replies[occasion].format(**values)

    def describe(self, name: str, arguments: Mapping[str, Any]) -> str:
        """What a call would do, for a person."""
        if name in self.prompts["replies"].replies:
            return self.say(name, **arguments)
        return f"{name}({', '.join(f'{key}: {value}' for key, value in arguments.items())})"

    def ask(self, prompt: str, text: str, max_tokens: int, **options: Any) -> str:
        """The chat model's reply to a message after the prompt's examples."""
        asked = self.prompts[prompt]
        return self.models.complete(asked, asked.messages(text), max_tokens=max_tokens, **options).strip()


def build_graph(context: Context, saver: InMemorySaver) -> CompiledStateGraph[Any, Any, Any, Any]:
    """The compiled graph; its state is `State`, its runtime's context is `Context`."""
    graph = StateGraph(State, context_schema=Context)
    graph.add_node("guard_input", guard_input)
    graph.add_node("planner", planner)
    graph.add_node("approve", approve)
    graph.add_node("tools", ToolNode(context.tools.as_langchain(), wrap_tool_call=call_tool))
    graph.add_node("retriever", retriever)
    graph.add_node("answerer", answerer)
    graph.add_node("rewriter", rewriter)
    graph.add_node("guard_output", guard_output)

    graph.add_edge(START, "guard_input")
    graph.add_conditional_edges("guard_input", lambda state: END if state["suspicion"] else "planner")
    graph.add_conditional_edges("planner", lambda state: "approve" if planned(state) else "retriever")
    graph.add_edge("approve", "tools")
    graph.add_edge("tools", "retriever")
    graph.add_edge("retriever", "answerer")
    graph.add_edge("rewriter", "retriever")
    graph.add_edge("guard_output", END)
    return graph.compile(checkpointer=saver)


def open_saver() -> InMemorySaver:
    """Keeps conversations in memory, and a message that waits for a person."""
    kept = [
        ("reference_app.tools.calls", "ToolCall"),
        ("reference_app.documents.search", "Found"),
        ("reference_app.documents.knowledge", "Section"),
    ]
    return InMemorySaver(serde=JsonPlusSerializer(allowed_msgpack_modules=kept))


# --- The nodes, in the order in which a message meets them ----------------------------------------------


def guard_input(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
    """Refuse a message that gives orders to the model, and forget it."""
    on = "input" in runtime.context.settings.guards
    with trace("guard input") as span:
        reason = next(filter(None, map(find_orders, customer_texts(state))), None) if on else None
        span.describe({"reference_app.guard.on": on, "reference_app.guard.reason": reason})
    if reason is None:
        return {}
    forgotten = RemoveMessage(id=str(state["messages"][-1].id))  # it would be refused with the next one again
    return {"messages": [forgotten], "suspicion": reason, "text": runtime.context.say("refuse")}


def planner(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
    """
    Ask the model which tools to call and what to search for.

    An uploaded file is read without a plan, and a page that the message links beside it.
    """
    context, said = runtime.context, customer_texts(state)
    attached = [as_message(calls, ATTACHED)] if (calls := list_attachments(state, context)) else []
    if state["file"]:
        return {"messages": attached}
    for tool in context.tools.withheld:
        trace_guard("manifest", f"{tool.name}: {UNSIGNED}", text=tool.description)
    schema = make_schema(context.tools.planned, said)
    asked = tuned.show_question(said) if context.settings.tuned else show_conversation(state)
    with trace("planner") as span:
        text = context.ask("planner", asked, PLAN_TOKENS, schema=schema)
        try:
            calls = read_plan(text)
        except PlanError:  # an endpoint that does not keep to schemas gets a second chance
            text = context.ask("planner", f"{asked}\nReply with JSON alone.", PLAN_TOKENS, schema=schema)
            calls = read_plan(text)
        span.describe({"reference_app.plan.text": text, "reference_app.plan.calls": calls})
    words = [call for call in calls if call["name"] in OWN and call["name"] != SEARCH]
    # Small talk with a figure in it is an answer without a source, so that the documents are searched.
    facts = [
        call for call in words if call["name"] == "reply" and states_facts(call["arguments"]["text"], said)
    ]
    used = [call for call in calls if call["name"] not in OWN]
    return {
        "messages": attached + ([as_message(used)] if used else []),
        "queries": [call["arguments"]["query"] for call in calls if call["name"] == SEARCH]
        + [last_message(state) for _ in facts[:1]],
        "said": [reply_of_plan(call, context) for call in words if call not in facts],
    }


def approve(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
    """Wait for a person where the policy wants one to confirm a call, with exactly these arguments."""
    context, confirmed, rejected, foreign = runtime.context, list[str](), list[str](), list[str]()
    for call in planned(state):
        name, arguments = call["name"], call["args"]
        decided = context.tools.decide(name, arguments, customer_texts(state))
        if str(call["id"]).startswith(ATTACHED) or decided.outcome != "confirm":
            continue
        digest = Confirmation.of(name, arguments).digest
        if context.tools.is_foreign(arguments, state["customer"]):
            foreign.append(digest)  # nobody is asked about the order of another customer
            continue
        shown = context.say("pending", call=context.describe(name, arguments))
        value = {"name": name, "arguments": arguments, "reason": decided.reason, "text": shown}
        answer = interrupt(value)
        # What was confirmed is the call that was shown: another one is not made.
        approved = answer["approved"] and answer["digest"] == digest
        (confirmed if approved else rejected).append(digest)
    return {"confirmed": confirmed, "rejected": rejected, "foreign": foreign}


def call_tool(request: ToolCallRequest, _: Callable[..., Any]) -> ToolMessage:
    """The gate around each call of the tool node: schema, policy and guards decide, then the tool runs."""
    name, arguments, state = request.tool_call["name"], request.tool_call["args"], request.state
    context: Context = request.runtime.context  # type: ignore[assignment] # given with each run
    digest = Confirmation.of(name, arguments).digest
    if digest in state["rejected"] or digest in state["foreign"]:
        guard, reason = ("tools", REJECTED) if digest in state["rejected"] else ("owner", NOT_OWN.reason)
        record = ToolCall(name=name, arguments=arguments, decision="denied", reason=reason)
        trace_guard(guard, reason)
    else:
        confirmation = Confirmation(digest) if digest in state["confirmed"] else None
        attached = str(request.tool_call["id"]).startswith(ATTACHED)
        record = context.tools.run(
            name, arguments, customer_texts(state), confirmation, state["customer"], attached=attached
        )
    content = json.dumps(record.result)
    return ToolMessage(content, name=name, tool_call_id=request.tool_call["id"], artifact=record)


def retriever(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
    """Search the documents; a section that gives orders to the model is not handed on."""
    if not state["queries"]:
        return {}
    context, question = runtime.context, str(last_message(state))
    with trace(
        "retriever", gen_ai__operation__name="retrieval", reference_app__queries=state["queries"]
    ) as span:
        found = list(state["passages"])
        for query in state["queries"]:
            known = {one.section.id for one in found}
            # Of several things that are asked, the message as a whole is like none.
            asked = [question, query] if len(state["queries"]) == 1 else [query]
            near = context.library.search(asked, context.settings.top_k)
            found += [one for one in near if one.section.id not in known]
        if "input" in context.settings.guards:
            found = [one for one in found if not is_poisoned(one.section.text)]
        span.describe({"reference_app.passages": [one.section.id for one in found]})
    return {"passages": found}


def answerer(state: State, runtime: Runtime[Context]) -> Command[Literal["rewriter", "guard_output"]]:
    """Ask the model for an answer from the material; one that the material does not bear out is not used."""
    context = runtime.context
    material, said = show_material(state), [*state["said"], *report(made(state), context)]
    if not material:
        return Command(goto="guard_output", update={"text": " ".join(said or [APOLOGY])})
    with trace("answerer") as span:
        asked = "Material:\n" + "\n\n".join(material) + f"\n\n{show_conversation(state, 'Customer')}"
        if context.settings.tuned:
            sections = [found.section for found in state["passages"]]
            asked = tuned.show_material(sections, made(state), last_message(state))
        try:
            facts, text = read_reply(context.ask("answerer", asked, ANSWER_TOKENS))
        except CutReplyError:  # nobody knows what its end would have said
            text = " ".join([*said, list_facts(state) or APOLOGY])
            return Command(goto="guard_output", update={"text": text, "degraded": "cut"})
        if facts == NOTHING and (not made(state) or text == NOTHING):
            text = APOLOGY  # what follows is of no section
        span.describe({"reference_app.draft": text})
        if not says_something(text):
            raise EndpointError(
                f"The reply of {context.models.chat_model} to the prompt answerer says nothing."
            )
        if text.startswith(APOLOGY[:-1]) and state["queries"] and not state["rewritten"]:
            return Command(goto="rewriter")
        degraded = ""
        if "grounding" in context.settings.guards:
            if agrees(text, state):
                trace_guard("grounding", "the draft only agrees with what was asked")
                quoted = quote_facts(facts, state)
                text, degraded = quoted or APOLOGY, "quoted" if quoted else "ungrounded"
            elif new := find_ungrounded(text, material, facts, state):
                trace_guard("grounding", f"{len(new)} parts of the draft stand in no material")
                text, degraded = list_facts(state) or APOLOGY, "ungrounded"
    sources = list(dict.fromkeys(_CITED.findall(text)))
    return Command(
        goto="guard_output",
        update={"text": " ".join([*said, text]), "sources": sources, "degraded": degraded},
    )


def rewriter(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
    """Ask the model for one other query, since the first search found nothing that answers."""
    asked = f"{show_conversation(state, 'Customer')}\nSearched: {'; '.join(state['queries'])}"
    try:
        query = runtime.context.ask("rewriter", asked, QUERY_TOKENS).splitlines()[0]
    except CutReplyError:  # no query is that long, so the first ones are searched for again
        return {"rewritten": True}
    return {"queries": [query], "rewritten": True}


def guard_output(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
    """Take out of the answer what must not leave the app, and keep the answer in the conversation."""
    from reference_app.guardrails.output import check_answer, repeats
    from reference_app.settings import SHOP_HOST

    context, text, problems = runtime.context, state["text"], list[str]()
    known = {one.section.id for one in state["passages"]}
    if "output" in context.settings.guards:
        with trace("guard output") as span:
            secrets = [context.prompts[name].template for name in ("planner", "answerer", "rewriter")]
            if not repeats(text, [secret.replace(APOLOGY, "") for secret in secrets]):
                secrets = []  # an apology that the prompt has too is no leak of it
            guarded = check_answer(
                text,
                sources=known & set(state["sources"]),
                known=known | {section.id for section in context.library.sections},
                hosts=(SHOP_HOST,),
                secrets=secrets,
                given=[*(one.section.text for one in state["passages"]), *customer_texts(state)],
            )
            text, problems = guarded.text or APOLOGY, list(guarded.problems)
            span.describe({"reference_app.guard.problems": problems})
    sources = [one for one in state["sources"] if one in known]
    return {"messages": [AIMessage(text)], "text": text, "sources": sources, "problems": problems}


# --- What the nodes read from the state ------------------------------------------------------------------


def this_turn(state: State) -> Sequence[AnyMessage]:
    """The messages since the customer's last one."""
    messages = state["messages"]
    last = max(place for place, message in enumerate(messages) if isinstance(message, HumanMessage))
    return messages[last:]


def last_message(state: State) -> str:
    return str(this_turn(state)[0].content)


def customer_texts(state: State) -> list[str]:
    """All that the customer wrote, the oldest first."""
    return [str(message.content) for message in state["messages"] if isinstance(message, HumanMessage)]


def planned(state: State) -> list[dict[str, Any]]:
    """The calls that the planner asks for."""
    return [call for message in this_turn(state) for call in getattr(message, "tool_calls", [])]


def made(state: State) -> list[ToolCall]:
    """The records of the calls that went through the gate."""
    return [message.artifact for message in this_turn(state) if isinstance(message, ToolMessage)]


def show_conversation(state: State, last: str = "Now customer") -> str:
    """The last message after those before it, each in a line of its own."""
    spoken = [
        message for message in state["messages"] if message.content and not isinstance(message, ToolMessage)
    ]
    *earlier, now = spoken
    if not earlier:
        return f"{last}: {now.content}" if last == "Customer" else str(now.content)
    who = {True: "customer", False: "shop"}
    lines = [
        f"Earlier {who[isinstance(message, HumanMessage)]}: {cut(str(message.content))}"
        for message in earlier[-EARLIER:]
    ]
    return "\n".join([*lines, f"{last}: {now.content}"])


def cut(text: str) -> str:
    """An earlier message in one line, as much of it as helps to understand the last one."""
    return " ".join(text.split())[:EARLIER_CHARACTERS]


def show_material(state: State) -> list[str]:
    """Sections by their ids, the nearest last, where a small model looks first, and results of tools."""
    status = {"current": ""}
    sections = [
        f"[{section.id}] {section.title} > {section.heading}"
        f"{status.get(section.status, ' (replaced by newer rules)')}: {' '.join(section.text.split())}"
        for section in (found.section for found in reversed(state["passages"]))
    ]
    calls = [call for call in made(state) if call.decision == "allowed"]
    return [*sections, *(show_result(call, last_message(state)) for call in calls if call.found)]


def report(calls: Sequence[ToolCall], context: Context) -> list[str]:
    """What the app itself says of calls: not made, without a result, or confirmed by a person."""
    said = []
    for call in calls:
        error = (call.result or {}).get("error", "")
        if call.reason == REJECTED:
            said.append(context.say("rejected", call=context.describe(call.name, call.arguments)))
        elif call.reason == NOT_OWN.reason:
            said.append(context.say("not_own", **call.arguments))
        elif call.decision == "denied":
            said.append(context.say("denied"))
        elif error in context.prompts["replies"].replies:
            near = ", ".join((call.result or {}).get("near", []))
            said.append(context.say(error, **call.arguments, near=near))
        elif call.decision == "confirmed" and not error:
            said.append(context.say("done", call=context.describe(call.name, call.arguments)))
    return list(dict.fromkeys(said))


def show_result(call: ToolCall, question: str) -> str:
    """A call and what came of it, as the answerer reads it; of a long text what the question is about."""
    if call.name in {FILE, PAGE}:
        return f"{call.name}: {cut_text(str(call.found['text']), question, ATTACHED_CHARACTERS)}"
    shown = json.dumps(call.found, ensure_ascii=False)[:RESULT_CHARACTERS]
    return f"{call.name}({json.dumps(call.arguments)}) = {shown}"


def reply_of_plan(call: dict[str, Any], context: Context) -> str:
    """What the planner answers itself: small talk in its own words, a question back, a refusal."""
    arguments = call["arguments"]
    return str(arguments["text"]) if "text" in arguments else context.say(arguments.get("missing", "refuse"))


def states_facts(text: str, said: Sequence[str]) -> bool:
    """Whether a text has a figure, a code or an address that the customer did not write."""
    from reference_app.grounding import read

    new, known = read(text), read("\n".join(said))
    return bool(new.figures - known.figures or new.exact - known.exact)


def says_something(text: str) -> bool:
    """Whether a draft has a word or a figure beside its citations."""
    return any(one.isalnum() for one in _CITED.sub("", text))


def read_reply(reply: str) -> tuple[str, str]:
    """The facts that a model copied from the material, and its answer; else the facts are the answer."""
    if not reply.startswith(FACTS):
        return "", reply.removeprefix(ANSWER).strip()  # a tuned model writes the answer alone
    facts, _, answer = (part.strip() for part in reply.removeprefix(FACTS).partition(ANSWER))
    return facts.strip(" ."), answer or facts


def find_ungrounded(text: str, material: list[str], facts: str, state: State) -> list[str]:
    """What of a draft neither material nor customer say."""
    from reference_app.grounding import moves_a_day, ungrounded

    if moves_a_day(text, [call.found for call in made(state)]):
        return [text]
    # Of a tool's result models copy values without their names and units.
    copied = facts if facts != NOTHING and not made(state) else ""
    return ungrounded(_APOLOGY.sub("", text), material, "\n".join(customer_texts(state)), copied)


def agrees(text: str, state: State) -> bool:
    """Whether a draft from sections says what the customer asked, and no more."""
    from reference_app.grounding import only_agrees

    said, text = "\n".join(customer_texts(state)), _APOLOGY.sub("", text)
    return bool(text.strip()) and not made(state) and only_agrees(text, said)


def quote_facts(facts: str, state: State) -> str:
    """The sentences of the sections that a model copied: of a draft that only agrees, what is true."""
    from reference_app.documents.words import split_sentences
    from reference_app.grounding import read_pieces

    pieces = read_pieces(facts)
    sentences = [
        (sentence.rstrip("."), found.section.id)
        for found in state["passages"]
        if found.section.status == "current"
        for sentence in split_sentences(found.section.text)
    ]
    return " ".join(
        f"{one} [{section}]." for one, section in sentences if any(part in one.casefold() for part in pieces)
    )


def list_facts(state: State) -> str:
    """What tools found, where no section was searched for: bare, and true."""
    facts = [tuned.show_facts(call.found) for call in made(state) if call.found]
    return f"{'; '.join(facts)}."[:RESULT_CHARACTERS] if facts and not state["passages"] else ""


def list_attachments(state: State, context: Context) -> list[dict[str, Any]]:
    """Calls that read the uploaded file and the first page of the shop that the message links."""
    calls = [{"name": FILE, "arguments": {"name": state["file"]}}] if state["file"] else []
    pages = [found[0].rstrip(".,;:!?") for found in _URL.finditer(last_message(state))]
    readable = [url for url in pages if context.tools.may_read(url)]
    return [*calls, *({"name": PAGE, "arguments": {"url": url}} for url in readable[:1])]


def as_message(calls: Sequence[dict[str, Any]], prefix: str = "call") -> AIMessage:
    """A plan in LangChain's form, which `ToolNode` carries out."""
    return AIMessage(
        "",
        tool_calls=[
            {"name": call["name"], "args": call["arguments"], "id": f"{prefix}_{place}", "type": "tool_call"}
            for place, call in enumerate(calls)
        ],
    )


def find_orders(text: str) -> str | None:
    """Why a text seems to give orders to the model; None where it does not."""
    suspicion = scan(text)
    return suspicion.reason if suspicion.flagged else None
