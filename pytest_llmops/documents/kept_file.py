"""JSON files that we keep in a project for people to review: read, or one clear error says why not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pytest_llmops.documents.conflict import CONFLICT, find_conflict
from pytest_llmops.documents.json_document import read_json
from pytest_llmops.documents.reading import BrokenValueError
from pytest_llmops.documents.values import line_of
from pytest_llmops.errors import hint

_LONGEST_PLACED = 4_000_000  # characters in which the line of a value is looked for, some seconds long
Content = TypeVar("Content")


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptFile:
    """
    One kind of file.

    Attributes:
        name: Of the kind, such as `run file`.
        error: Makes the error of a message.
        remedy: Advice on a broken one, the command at its end.
        made_by: The command that makes it, for kinds that `load` reads.
    """

    name: str
    error: Callable[[str], Exception]
    remedy: str
    made_by: str = ""

    def load(self, path: Path) -> bytes:
        """
        Read the bytes of a file.

        Raises:
            Exception: `error`: there is none, or it cannot be read.
        """
        data = self.find(path, str(path))
        if data is None:
            near = hint(path.name, [file.name for file in path.parent.glob("*.json*")])
            raise self.error(f"{path}: there is no such {self.name}.{near} Make it: {self.made_by}")
        return data

    def find(self, path: Path, shown: str) -> bytes | None:
        """
        Read the bytes of a file that may be missing; None where it is.

        Args:
            shown: The file, for the message.

        Raises:
            Exception: `error`: it cannot be read.
        """
        try:
            return path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise self.error(f"{shown}: cannot be read: {error.strerror}. {self.remedy}") from None

    def parse(self, data: bytes, shown: str, read: Callable[[str], Content]) -> Content:
        """
        Return the result of `read` for the text of a file.

        Args:
            shown: The file, for the message.

        Raises:
            Exception: `error`: it is no UTF-8, nested too deeply, or has a broken value.
        """
        text = ""
        try:
            text = data.decode("utf-8-sig")
            return read(text)
        except UnicodeDecodeError as error:
            problem = f"byte {error.start} is no UTF-8"
        except RecursionError:
            problem = f"is nested too deeply to be a {self.name}"
        except BrokenValueError as error:
            problem = str(error)
            place = error.problems[0][0]
            document = read_json(text)[0] if place and len(text) < _LONGEST_PLACED else None
            if document is not None:  # neither too long nor too deep
                problem = f"line {line_of(document, place)}: {problem}"
        if line := find_conflict(data):
            raise self.error(f"{shown}: line {line} is {CONFLICT}") from None
        problem = problem.removesuffix(".")
        raise self.error(f"{shown}: {problem}{'' if problem.endswith('?') else '.'} {self.remedy}") from None
