"""Conversations that a simulated user leads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pytest_llmops.judges.completion import JudgeError, run_beside
from pytest_llmops.judges.user import UserFaultError, UserPlayer
from pytest_llmops.records import CaseTurn, Ended, Played, SimulatedUser, TurnOutput
from pytest_llmops.runner.app.conversation import Over, RecordedCalls, Talk


@dataclass(slots=True, eq=False, kw_only=True)
class Simulation(Talk):
    """One conversation, of one repeat."""

    player: UserPlayer
    history: tuple[Mapping[str, str], ...]
    repeat: int
    _reported: str = ""

    @classmethod
    def open(cls, user: SimulatedUser, history: tuple[Mapping[str, str], ...], repeat: int) -> Simulation:
        """
        Read the user's model.

        Raises:
            MetricOptionError: It cannot be read, or not play a user.
        """
        return cls(player=UserPlayer.open(user, history), history=history, repeat=repeat)

    @property
    def most(self) -> int:
        """The number of turns, at most."""
        return self.player.user.max_turns

    async def next_turn(self, turns: Sequence[TurnOutput], calls: RecordedCalls) -> CaseTurn | Over:
        """Return what the user says, or the end that it comes to by its goal, its limit or its fault."""
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
