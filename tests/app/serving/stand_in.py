"""An app without a model: its answers are set."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace

from reference_app.errors import QuestionError, WeightsError
from reference_app.serving.replies import confirm

SECTION = "tents#weight"
HOSTILE = (
    "<img src=x onerror=\"document.title='taken'\"><script>document.title='taken'</script> \u202egnp.exe "
    "[press](javascript:document.title=1) ![x](https://gorse.example/?d=1)"
)
SECTIONS = {
    SECTION: SimpleNamespace(id=SECTION, name="Tents > Weight", text="The Kestrel weighs 3.4 kg."),
    "hostile": SimpleNamespace(id="hostile", name=HOSTILE, text=HOSTILE),
}
MARKDOWN = """# Two tents
The **Kestrel** tent weighs *3.4 kg* [tents#weight]:

- packed in `3 bags`
- with pegs

1. Pitch it
2. Sleep

| tent | kg |
|------|----|
| Kestrel | **3.4** |

> It is light."""
ANSWERS = {
    "How heavy is it?": "The Kestrel tent weighs 3.4 kg. [tents#weight]",
    "markdown": MARKDOWN,
    "hostile": HOSTILE,
    "other brackets": "[$&] [constructor] [__proto__] [tents#other]",
    "half a pair": "\ud800",
    "hello": "Hello! How can I help?",
}
CALL = {
    "name": "request_refund",
    "arguments": {"order_id": "FW-20001", "note": "<b>\u202eall</b>", "points": 5},
    "decision": "pending",
    "reason": "a person has to confirm it",
}


class StandIn:
    """Keeps what it was asked; `hung_up` says that it was ended in the middle of its work."""

    def __init__(self):
        self.forget()

    def forget(self):
        self.asked, self.decided, self.waiting = [], [], {}
        self.hung_up = threading.Event()

    def run(self, question, *, thread=None, file=None, customer=None):
        if not question.strip():
            raise QuestionError("The question is empty.")
        self.asked.append((question, thread))
        self.file, self.customer = file, customer
        if question == "no weights":
            raise WeightsError("/secret/weights are not there.")
        if question == "bug":
            raise ValueError("Ada Quimby, ada@example.com")
        yield "planner", None
        if question == "endless":
            yield from self._search_on()
        if question == "refund":
            self.waiting[thread] = confirm(CALL["name"], CALL["arguments"])
            yield "approve", {"text": "May I?", "tool_calls": [CALL], "pending": CALL, "sources": []}
            return
        sources = {"hello": [], "hostile": ["hostile", "complaint.txt"]}.get(question, [SECTION])
        yield "answerer", {"text": ANSWERS.get(question, "?"), "sources": sources}
        yield "guard_output", {"degraded": "ungrounded"} if question == "markdown" else {}

    def resume(self, thread, confirmation, *, approved):
        if thread not in self.waiting:
            raise QuestionError("There is nothing to confirm, or it was given up.")
        same = self.waiting.pop(thread) == confirmation
        self.decided.append((thread, same and approved))
        decision = "confirmed" if same and approved else "denied"
        yield "tools", {"tool_calls": [CALL | {"decision": decision}]}
        yield "answerer", {"text": f"It is {decision}."}

    def _search_on(self):
        try:
            while True:
                time.sleep(0.01)
                yield "retriever", None
        finally:
            self.hung_up.set()
