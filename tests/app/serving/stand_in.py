"""An app without a model: its answers are set, its pieces come from a thread of its own as the graph's do."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace

from reference_app.documents.knowledge import Section
from reference_app.documents.search import Found
from reference_app.errors import QuestionError, WeightsError
from reference_app.state import Call, Plan, ToolCall
from reference_app.tools.arguments import ToolError
from reference_app.tools.registry import Confirmation

SECTION = "tents#weight"
HOSTILE = (
    "<img src=x onerror=\"document.title='taken'\"><script>document.title='taken'</script> \u202egnp.exe"
)
ANSWERS = {
    "How heavy is it?": ["The Kestrel tent ", "weighs 3.4 kg."],
    "hostile": [HOSTILE],
    "hostile title": [f"It weighs 3.4 kg. [{SECTION}]"],
    "other brackets": ["[$&] [constructor] [__proto__] [tents#other]"],
    "half a pair": ["\ud800"],
    "slow": ["again "] * 10_000,
    "endless": ["again " * 3000] * 1_000_000,
}
BROKEN_TOOL = "/secret/openapi.json: order_status: no answer in JSON is described."
PAUSE_S = 0.01
CALL = ToolCall(
    name="request_refund",
    arguments={"order_id": "FW-20001", "note": "<b>\u202eall</b>", "points": 5},
    decision="pending",
    reason="a person has to confirm it",
)


class StandIn:
    """Keeps what it was asked; `pieces` counts those that were heard."""

    def __init__(self):
        self.models = SimpleNamespace(chat_model="stand-in")
        self.forget()

    def forget(self):
        self.asked, self.decided, self.waiting = [], [], {}
        self.pieces = 0
        self.hung_up = threading.Event()

    def run(self, question, heard=None, *, thread=None, file=None, customer=None):
        if not question.strip():
            raise QuestionError("The question is empty.")
        self.asked.append((question, thread))
        self.file, self.customer = file, customer
        if question == "no weights":
            raise WeightsError("/secret/weights are not there.")
        if question == "broken tool":
            raise ToolError(BROKEN_TOOL)
        if question == "bug":
            raise ValueError("Ada Quimby, ada@example.com")
        if question == "refund":
            self.waiting[thread] = Confirmation.of(CALL.name, CALL.arguments)
            plan = Plan(route="tools", calls=(Call(name=CALL.name, arguments=CALL.arguments),))
            yield "planner", {"plan": plan}
            yield "confirm", {"text": "May I?", "tool_calls": [CALL], "sources": []}
            return
        yield "planner", {"plan": Plan(route="documents")}
        section = make_section(HOSTILE if question == "hostile title" else "Tents")
        yield "retriever", {"passages": [Found(section=section, score=0.51234)]}
        yield "answerer", self._answer(ANSWERS.get(question, ["?"]), heard)

    def resume(self, thread, confirmation, *, approved, heard=None):
        if thread not in self.waiting:
            raise QuestionError("There is nothing to confirm, or it was given up.")
        same = self.waiting.pop(thread) == confirmation
        self.decided.append((thread, same and approved))
        decision = "confirmed" if same and approved else "denied"
        call = ToolCall(name=CALL.name, arguments=CALL.arguments, decision=decision, result=None)
        yield "tools", {"tool_calls": [call]}
        yield "answerer", self._answer([f"It is {decision}."], heard)

    def _answer(self, pieces, heard):
        failed = []

        def write():
            try:
                for piece in pieces if heard else []:
                    self.pieces += 1
                    heard(piece)
                    time.sleep(PAUSE_S if pieces is ANSWERS["slow"] else 0)
            except BaseException as error:  # noqa: BLE001 - handed on below
                failed.append(error)
                self.hung_up.set()

        writer = threading.Thread(target=write)
        writer.start()
        writer.join()
        if failed:
            raise failed[0]
        return {"text": "".join(pieces), "sources": [SECTION]}


def make_section(title):
    return Section(
        id=SECTION,
        title=title,
        heading="Weight",
        text="It weighs 3.4 kg.",
        status="current",
        updated="2026-01-01",
    )
