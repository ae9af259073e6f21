"""What the server needs of an app."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from reference_app.state import State
    from reference_app.tools.registry import Confirmation


class ModelName(Protocol):
    @property
    def chat_model(self) -> str: ...


class Support(Protocol):
    """As `reference_app.graph.SupportApp` describes it; may be used from many threads."""

    @property
    def models(self) -> ModelName: ...

    def run(
        self,
        question: str,
        heard: Callable[[str], None] | None = None,
        *,
        thread: str | None = None,
        file: str | None = None,
        customer: int | None = None,
    ) -> Iterator[tuple[str, State]]: ...

    def resume(
        self,
        thread: str,
        confirmation: Confirmation,
        *,
        approved: bool,
        heard: Callable[[str], None] | None = None,
    ) -> Iterator[tuple[str, State]]: ...
