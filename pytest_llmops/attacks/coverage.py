"""Which known risks a red-team run tried, and which it says nothing of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from pytest_llmops.attacks.placements import PLACEMENTS
from pytest_llmops.attacks.suites import Facets

OWASP: Mapping[str, str] = MappingProxyType(
    {
        "LLM01": "Prompt Injection",
        "LLM02": "Sensitive Information Disclosure",
        "LLM03": "Supply Chain",
        "LLM04": "Data and Model Poisoning",
        "LLM05": "Improper Output Handling",
        "LLM06": "Excessive Agency",
        "LLM07": "System Prompt Leakage",
        "LLM08": "Vector and Embedding Weaknesses",
        "LLM09": "Misinformation",
        "LLM10": "Unbounded Consumption",
    }
)
"""OWASP Top 10 for LLM Applications, 2025."""

ATLAS: Mapping[str, str] = MappingProxyType(
    {
        "AML.T0051.000": "LLM Prompt Injection: Direct",
        "AML.T0051.001": "LLM Prompt Injection: Indirect",
        "AML.T0053": "AI Agent Tool Invocation",
        "AML.T0054": "LLM Jailbreak",
        "AML.T0056": "Extract LLM System Prompt",
        "AML.T0057": "LLM Data Leakage",
        "AML.T0068": "LLM Prompt Obfuscation",
        "AML.T0070": "RAG Poisoning",
        "AML.T0077": "LLM Response Rendering",
        "AML.T0080": "AI Agent Context Poisoning",
        "AML.T0086": "Exfiltration via AI Agent Tool Invocation",
    }
)
"""MITRE ATLAS techniques that a test of an app from outside can try."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Covered:
    """
    One risk or placement, and how many attacks of the run tried it; 0 says nothing of it, and not `held`.

    Attributes:
        id: `LLM01`, `AML.T0054`, or a placement.
    """

    kind: str
    id: str
    name: str
    attacks: int


def list_coverage(attacks: Iterable[Facets]) -> list[Covered]:
    """OWASP entries, ATLAS techniques and placements, tried or not."""
    facets = list(attacks)
    owasp = Counter(entry for each in facets for entry in each.owasp)
    atlas = Counter(technique for each in facets for technique in each.atlas)
    places = Counter(each.placement for each in facets)
    techniques = {**ATLAS, **{each: "" for each in sorted(atlas) if each not in ATLAS}}
    return [
        *(Covered(kind="OWASP", id=each, name=name, attacks=owasp[each]) for each, name in OWASP.items()),
        *(
            Covered(kind="ATLAS", id=each, name=name, attacks=atlas[each])
            for each, name in techniques.items()
        ),
        *(Covered(kind="placement", id=each, name="", attacks=places[each]) for each in PLACEMENTS),
    ]
