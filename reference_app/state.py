"""What the nodes of the graph hand on: the conversation, and what was done for its last message."""

from __future__ import annotations

from typing import Any

from langgraph.graph import MessagesState

from reference_app.documents.search import Found  # langgraph reads the hints of the state

APOLOGY = "I am sorry, I could not find any information about that."
"""How a model says, in the answerer's prompt, that the material holds no answer."""


class State(MessagesState, total=False):
    """
    `messages` is the conversation, with personal data masked; the rest belongs to its last message.

    Attributes:
        customer: Number of the customer who is signed in; missing where nobody is.
        file: Name of the file that was uploaded with the message.
        said: What the planner answers itself: small talk, questions back, refusals.
        queries: What the documents are searched for.
        rewritten: Whether the second search was made.
        confirmed: Digests of the calls that a person confirmed.
        rejected: The same of those that a person did not want.
        foreign: The same of those that are about another customer's order.
        passages: What the search found.
        text: The answer.
        sources: Ids of the sections that the answer cites.
        degraded: Why the answer is not in the model's own words: `quoted`, `ungrounded` or `cut`; else empty.
        suspicion: Why the message is not answered, where a guard stopped it.
        problems: What the output guard took out of the answer.
    """

    customer: int | None
    file: str | None
    said: list[str]
    queries: list[str]
    rewritten: bool
    confirmed: list[str]
    rejected: list[str]
    foreign: list[str]
    passages: list[Found]
    text: str
    sources: list[str]
    degraded: str
    suspicion: str
    problems: list[str]


def start_turn(customer: int | None, file: str | None) -> dict[str, Any]:
    """The input of the graph beside one more message: nothing was done for it."""
    return {
        "customer": customer,
        "file": file,
        "said": [],
        "queries": [],
        "rewritten": False,
        "confirmed": [],
        "rejected": [],
        "foreign": [],
        "passages": [],
        "text": "",
        "sources": [],
        "degraded": "",
        "suspicion": "",
        "problems": [],
    }
