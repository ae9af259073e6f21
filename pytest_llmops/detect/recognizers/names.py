"""What a person's name looks like."""

from __future__ import annotations

import re
from collections.abc import Iterator

_WORD = re.compile(r"[^\W\d_](?:[^\W\d_]|['\u2019-](?=[^\W\d_])){0,31}(?![\d_])\.?")
_START = re.compile(r"(?<![\w@/.#$%&-])(?<!\w['\u2019])[^\W\d_]")
_PARTICLES = frozenset(
    """
    de del della den der di do dos da das du la le van von vom zu zum ten ter af av y e i bin ibn al el san
    """.split()  # noqa: SIM905 - a list of words, read as such
)
_MOST = 4
_NO_NAMES = frozenset(
    """
    account address admin administrator agent all amount app application assistant available bank bill billing
    board book bot boots card care case center centre chat check class code company complaint contact contract
    corp customer customers data date day days dear default delivery department desk dev development director
    division document email engineering error everyone example file finance form free friend friends gate gmbh
    group guest guide help hiring holder hotline id inc info information invoice item jacket key last ltd
    llc mail management manager manual member members message model name new note notes number office officer
    online operations operator order orders page parcel partner password payment phone please plc policy
    president price product products project quality question refund release report request returns room sales
    sale section security seller server service services set shipping shop sir madam staff standard status
    store string subject support system table task team terms test text the there this ticket title token tool
    total tracking type unit update user users valued value version warehouse warranty we website welcome you
    your yours january february march april may june july august september october november december monday
    tuesday wednesday thursday friday saturday sunday english german french spanish italian dutch swedish
    european american british north south east west street avenue road lane city states kingdom university
    """.split()  # noqa: SIM905 - a list of words, read as such
)


def find_name(text: str, start: int, fewest: int) -> int | None:
    """The end of a name of at least so many words that starts there; None where none does."""
    end = named = 0
    at = start
    for _ in range(_MOST + 2):
        match = _WORD.match(text, at)
        if match is None or named == _MOST:
            break
        word = match[0]
        if word.rstrip(".").lower() in _NO_NAMES:
            if named and not is_capitalised(word):
                break
            return None
        if is_capitalised(word):
            initial = len(word) == 2 and word[1] == "."  # noqa: PLR2004 - a letter and its dot
            named += 1
            end = match.end() if initial or not word.endswith(".") else match.end() - 1
            if end != match.end():
                break
        elif not (named or word in _PARTICLES) or word not in _PARTICLES:
            break
        at = match.end()
        if text[at : at + 1] not in {" ", "\u00a0"}:
            break
        at += 1
    return end if named >= fewest else None


def find_names(text: str) -> Iterator[tuple[int, int]]:
    """
    Start and end of whatever is written as a name of two words or more.

    Of any text that would be too many; of one that holds personal data already, it is whose they are.
    """
    at = 0
    for match in _START.finditer(text):
        if match.start() >= at and (end := find_name(text, match.start(), 2)):
            yield match.start(), end
            at = end


def is_capitalised(word: str) -> bool:
    """Written as names are: `Anna`, `O'Brien`, `J.`, `Lemaître-Dubois`."""
    letters = [char for char in word if char.isalpha()]
    return word[0].isupper() and (len(letters) == 1 or any(char.islower() for char in letters))
