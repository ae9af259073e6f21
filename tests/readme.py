"""The README as a program: its files are written, its commands run, what it shows is looked for."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

_BLOCK = re.compile(r"^```(?P<language>\w+)(?P<told>[^\n]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_TOLD = re.compile(r"(\w+)=(\S+)")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block; `told` is what stands behind the language, `file=…` or `exit=…`."""

    language: str
    told: Mapping[str, str]
    text: str


def read_blocks(text: str) -> Iterator[Block]:
    for found in _BLOCK.finditer(text):
        yield Block(found["language"], dict(_TOLD.findall(found["told"])), found["text"])


def run_page(text: str, folder: Path, environment: Mapping[str, str]) -> list[str]:
    """Write the files of a page and run its commands, in their order; what differs from the page."""
    wrong = []
    for block in read_blocks(text):
        if "file" in block.told:
            path = folder / block.told["file"]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, encoding="utf-8")
        elif block.language == "console":
            wrong += run_console(block, folder, environment)
    return wrong


def run_console(block: Block, folder: Path, environment: Mapping[str, str]) -> list[str]:
    """What differs from the block: an exit code, or a line that is not there in its order."""
    wrong = []
    for command, shown in _commands(block.text):
        told = subprocess.run(  # noqa: S602 - the README's own commands
            command, shell=True, cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        output = told.stdout + told.stderr
        if told.returncode != int(block.told.get("exit", "0")):
            wrong.append(f"$ {command}\nexit {told.returncode}\n{output}")
        elif missing := _first_missing(shown, output.splitlines()):
            wrong.append(f"$ {command}\ndid not show: {missing}\n{output}")
    return wrong


def _commands(text: str) -> Iterator[tuple[str, list[str]]]:
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, *shown = part.rstrip("\n").split("\n")
        yield command, shown


def _first_missing(shown: list[str], lines: list[str]) -> str | None:
    """Shown lines must come in this order; `...` stands for anything, in a line or between lines."""
    rest = iter(lines)
    for wanted in shown:
        if wanted == "...":
            continue
        pattern = re.compile(".*".join(map(re.escape, wanted.split("..."))) + r"\Z")
        if not any(pattern.match(line) for line in rest):
            return wanted
    return None
