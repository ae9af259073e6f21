"""What can go wrong in the app itself; errors of the model endpoint stay `openai`'s own."""

from __future__ import annotations


class AppError(Exception):
    """The question cannot be answered for a reason the person who runs the app can mend."""


class SettingsError(AppError):
    """An environment variable holds a value the app cannot use."""


class KnowledgeError(AppError):
    """The knowledge folder is missing, or a document in it breaks the format."""


class PromptError(AppError):
    """A prompt file is missing or breaks the format."""


class WeightsError(AppError):
    """The weights of the embedded models are not where they should be."""


class OrdersError(AppError):
    """The file of orders is missing or breaks the format."""


NOT_LOADED = "embedded_model_not_loaded"
"""The code in a reply of the embedded endpoint whose weights or adapter cannot be loaded."""


class EndpointError(AppError):
    """The embedded endpoint could be neither found nor started, or cannot load its weights."""


class CutReplyError(EndpointError):
    """A reply of the model was cut at its longest."""


class QuestionError(AppError):
    """The question is empty or too long."""


class GuardLinesError(AppError):
    """The file of lines for the guards cannot be read."""


class VaultError(AppError):
    """
    The vault cannot be used, or its key does not fit.

    Attributes:
        outcome: In the audit log.
    """

    outcome = "failed"

    def __init__(self, message: str, outcome: str | None = None) -> None:
        super().__init__(message)
        self.outcome = outcome or self.outcome


class OpeningRefusedError(VaultError):
    """The vault is sound, and this token may not or can no longer be opened."""

    outcome = "refused"


class AuditError(AppError):
    """The audit log cannot be written or does not agree with its head, so nothing may be opened."""
