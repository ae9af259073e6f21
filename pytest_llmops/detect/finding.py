"""The result of a scan: kind and place of a value, never the value."""

from __future__ import annotations

from dataclasses import dataclass

KINDS = (
    "DENIED", "PRIVATE_KEY", "JWT", "API_KEY", "PASSWORD_IN_URL", "PASSWORD", "EMAIL_ADDRESS", "IBAN_CODE",
    "CREDIT_CARD", "US_SSN", "NATIONAL_ID", "PHONE_NUMBER", "IP_ADDRESS", "CRYPTO", "PASSPORT",
    "DATE_OF_BIRTH", "ADDRESS", "PERSON",
)  # fmt: skip
"""Every kind that can be found; of two that overlap, the one named first is reported."""

PERSONAL = frozenset(KINDS) - {
    "DENIED", "PASSWORD", "PRIVATE_KEY", "JWT", "API_KEY", "PASSWORD_IN_URL", "IP_ADDRESS", "CRYPTO",
    "PERSON",
}  # fmt: skip
"""Kinds that belong to a person, whose name may be near."""

Found = tuple[str, int, int, float]
"""Kind, start, end and score of a recogniser's result."""

UNCONFIRMED = 0.6
"""The score of a label or a shape that no checksum confirms."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """
    One piece of personal data or one secret in a text.

    Attributes:
        start: In code points of the text; `end` is past the last.
        score: The recogniser's own, from 0 to 1.
        path: The file, as the caller names it; empty for a text outside a file.
        pointer: JSON pointer to the text within the file, findings in it masked; empty for the file itself.
        cut: It continues in the next text; start and end are of its first part.
        key: The name that is paired with the text, where it is no key of the pointer; findings in it masked.
        span: Name and id of the span or run that it is in, likewise.
        line: In a file, from 1, with its `column`: of the text that has it; None where that is not known.
    """

    kind: str
    start: int
    end: int
    score: float
    path: str = ""
    pointer: str = ""
    cut: bool = False
    key: str = ""
    span: str = ""
    line: int | None = None
    column: int | None = None

    @property
    def mask(self) -> str:
        """Kind and length, to be shown in its place."""
        return f"<{self.kind} {self.end - self.start} chars>"
