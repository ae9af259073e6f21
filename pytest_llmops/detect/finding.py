"""What a scan reports: of which kind and where, never what."""

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
"""Kinds that belong to a person, whose name may stand beside."""

Found = tuple[str, int, int, float]
"""Kind, start, end and score of what a recogniser found."""

UNCONFIRMED = 0.6
"""The score of what a label or a shape says and no checksum confirms."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """
    One piece of personal data or one secret in a text.

    Attributes:
        start: In code points of the text; `end` is past the last.
        score: The recogniser's own, from 0 to 1.
        path: The file, as it was named; empty for a text that is in none.
        pointer: JSON pointer to the text within the file, findings in it masked; empty for the whole file.
        cut: It goes on in the next text; start and end are of its first part.
    """

    kind: str
    start: int
    end: int
    score: float
    path: str = ""
    pointer: str = ""
    cut: bool = False

    @property
    def mask(self) -> str:
        """What may be shown in its place: kind and length."""
        return f"<{self.kind} {self.end - self.start} chars>"
