"""Who leads the conversation of a case: its script, or a simulated user."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_llmops.errors import AppError, MetricOptionError
from pytest_llmops.protocols import App
from pytest_llmops.records import Case, CaseTurn, Ended, Played, TurnOutput
from pytest_llmops.runner.app.conversation import Over, RecordedCalls, Script, Talk, check_calling

if TYPE_CHECKING:
    from pytest_llmops.judges.user import UserPlayer  # which brings the client of judges


@dataclass(slots=True, eq=False, kw_only=True)
class Simulation(Talk):
    """One conversation, of one repeat."""

    player: UserPlayer
    repeat: int
    _reported: str = ""

    @property
    def history(self) -> tuple[Mapping[str, str], ...]:
        """Messages before the first turn."""
        return self.player.history

    @property
    def most(self) -> int:
        """The number of turns, at most."""
        return self.player.user.max_turns

    async def next_turn(self, turns: Sequence[TurnOutput], calls: RecordedCalls) -> CaseTurn | Over:
        """Return what the user says, or the end that it comes to by its goal, its limit or its fault."""
        from pytest_llmops.judges.completion import JudgeError, run_beside
        from pytest_llmops.judges.user import UserFaultError

        if len(turns) == self.most:
            return self._end("limit of turns")
        said = [(turn.asked.user, turn.output.text) for turn in turns]
        try:
            with calls():
                reply = await run_beside(self.player.say(said, self.repeat))
        except UserFaultError as error:
            return self._end("user error", f"the simulated user: turn {len(turns) + 1}: {error}")
        except JudgeError as error:
            return Over(broke=f"the simulated user: {error}")
        self._reported = reply.model
        return CaseTurn(user=reply.message) if reply.message else self._end("goal reached")

    def _end(self, ended: Ended, fault: str = "") -> Over:
        prompt, model = self.player.prompt.identity, self.player.judge.model
        played = Played(ended=ended, prompt=prompt, model=model, reported=self._reported)
        return Over(played=played, fault=fault)


def conversation_of(case: Case, repeat: int = 0) -> Talk | None:
    """
    Return the conversation that a case is; None for one question.

    Raises:
        MetricOptionError: The model of its user cannot be read, or is too small.
    """
    if case.user is not None:
        from pytest_llmops.judges.user import UserPlayer

        return Simulation(player=UserPlayer.open(case.user, case.history), repeat=repeat)
    return Script(turns=case.turns, history=case.history) if case.turns else None


def check_conversations(app: App, name: str, cases: Iterable[Case]) -> None:
    """
    Check, before any call, that an app can hold the conversations of cases, and that users have a model.

    Raises:
        AppError: It cannot, or one has none; with the first such case.
    """
    for case in cases:
        if case.is_conversation:
            place = f"{case.source.path}:{case.source.line}: " if case.source else ""
            try:
                check_calling(app, name, with_history=bool(case.history))
                conversation_of(case)
            except (AppError, MetricOptionError) as error:
                raise AppError(f"{place}{case.id}: {error}") from None
