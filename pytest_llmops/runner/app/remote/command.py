"""
Calls an app that is a command, in any language.

Each process leads a group, which is ended as a whole: with its case, or where it stays for further
cases, at the end of the run. What it prints besides its answers belongs to the case that it works on.
"""

from __future__ import annotations

import asyncio
import codecs
import json
import os
import signal
import subprocess
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from secrets import token_hex
from typing import Any

from pytest_llmops.detect.mask import mask_shown
from pytest_llmops.errors import AnswerError
from pytest_llmops.golden.apps import CommandApp, list_values
from pytest_llmops.printable import counted, excerpt, printable
from pytest_llmops.protocols import Conversation, RemoteApp
from pytest_llmops.recorder.threads import start_outside
from pytest_llmops.runner.app.printed import Channel, Printed, current, keep_outside
from pytest_llmops.runner.app.remote.answers import parse_json
from pytest_llmops.traces.capture import find_owner

MOST_BYTES = 1 << 20
"""Of the output of a process for one case."""

MOST_PROCESSES = 16
"""At once, where the setting `concurrency` is not set."""

_READ = 65_536
_LONGEST_LINE = 65_536  # of standard error, which is held back until its line ends
_TAIL = 4_000  # characters of standard error that are kept for messages
_EXCERPT = 200
_GRACE_S = 0.3
_ANSWERS = frozenset({
    "text", "output", "error", "answer", "reply", "response", "passages", "tool_calls", "usage",
})  # fmt: skip
"""Keys by which a line is an answer, be it a wrong one; other lines are what the command logs."""

Answer = dict[str, Any] | str


@dataclass(slots=True, eq=False)
class CommandCaller(RemoteApp):
    """Calls one app; its processes belong to the loop on which it is called, until `close`."""

    spec: CommandApp
    root: Path
    at_once: int | None = MOST_PROCESSES
    _idle: list[_Process] = field(default_factory=list)
    _open: set[_Process] = field(default_factory=set)

    @property
    def conversation(self) -> Conversation:
        """Return the messages, which any process can answer."""
        return "messages"

    async def __call__(self, question: Any, /, *, session: str = "") -> Answer:
        """
        Return the command's answer to one case, or to one turn of it.

        Raises:
            AnswerError: There is none.
        """
        trace_id = token_hex(16)
        find_owner(trace_id)  # so that spans that the command sends belong to the case
        parent = f"00-{trace_id}-{token_hex(8)}-01"
        if self.spec.protocol == "jsonl":
            return await self._ask(list_values(question, session), parent)
        return await self._run(question, parent)

    async def prepare(self) -> None:
        """Do nothing: processes are started when they are needed."""

    async def close(self) -> None:
        """End all processes: those that wait see the end of their input first."""
        processes = list(self._open)
        self._idle.clear()
        for process in processes:
            process.end_input()
        if processes:
            await asyncio.wait([process.exited for process in processes], timeout=_GRACE_S)
        for process in processes:
            await process.end()
        self._open.clear()

    def stamps(self) -> Mapping[str, str]:
        return {}

    def files(self) -> list[str]:
        """Return the arguments that are files of the project."""
        top = self.root.resolve()
        found = []
        for word in self.spec.command:
            with suppress(OSError, ValueError):
                path = (top / word).resolve()
                if path.is_file() and path.is_relative_to(top):
                    found.append(path.relative_to(top).as_posix())
        return found

    async def _ask(self, values: Mapping[str, Any], parent: str) -> Answer:
        """Have a process that stays answer a line."""
        session = values["session"]
        sent = {**values, "traceparent": parent}
        process = await self._take()
        process.printed = current.get()
        is_in_step = False
        try:
            answer = await process.ask(f"{json.dumps(sent)}\n".encode())
            is_in_step = answer.get("session") == session and answer.get("error") is None
        finally:
            await asyncio.sleep(0)  # what it wrote to standard error before its answer is read
            process.printed = None
            if is_in_step:
                self._idle.append(process)
            else:  # what it still says would be taken for an answer to another case
                await self._drop(process)
        if (said := answer.pop("session", session)) != session:
            raise AnswerError(f"the command answered for another session: {excerpt(said)}")
        return _read_answer(answer)

    async def _run(self, question: Any, parent: str) -> Answer:
        """Have a new process answer."""
        text = question if isinstance(question, str) else json.dumps(question, ensure_ascii=False)
        by_argument = self.spec.protocol == "argv"
        process = await self._start((text,) if by_argument else (), {"TRACEPARENT": parent})
        process.printed = current.get()
        try:
            output = await process.read_all("" if by_argument else text)
        finally:
            await self._drop(process)
            process.printed = None
        return output

    async def _take(self) -> _Process:
        """Return a process that waits for a case, or a new one."""
        while self._idle:
            process = self._idle.pop()
            if process.is_usable():
                return process
            await self._drop(process)
        return await self._start()

    async def _start(
        self, further: tuple[str, ...] = (), variables: Mapping[str, str] | None = None
    ) -> _Process:
        command = [*self.spec.command, *further]
        keeps = self.spec.protocol == "jsonl"
        process = await _Process.start(command, self.root, variables or {}, by_lines=keeps)
        self._open.add(process)
        return process

    async def _drop(self, process: _Process) -> None:
        self._open.discard(process)
        await process.end()


def _read_answer(answer: dict[str, Any]) -> Answer:
    if answer.get("error"):
        raise AnswerError(f"the command reports an error: {_shown(answer['error'])}")
    if "text" not in answer and "output" in answer:
        answer["text"] = answer.pop("output")
    answer.pop("error", None)
    if isinstance(usage := answer.get("usage"), dict):
        answer["usage"] = {"calls": 0, **usage}  # no number of calls is made up: nobody here saw any
    return answer


@dataclass(slots=True, eq=False)
class _Process:
    """
    A process of the command.

    Attributes:
        exited: Its exit code; negative for the signal that ended it.
        printed: Of the case that it works on; None between cases.
    """

    popen: subprocess.Popen[bytes]
    exited: asyncio.Future[int]
    _input: asyncio.WriteTransport
    printed: Printed | None = None
    by_lines: bool = False
    _transports: list[asyncio.BaseTransport] = field(default_factory=list)
    _readers: list[asyncio.Task[None]] = field(default_factory=list)
    _lines: asyncio.Queue[bytes | None] = field(default_factory=asyncio.Queue)
    _output: bytearray = field(default_factory=bytearray)
    _size: int = 0
    _too_large: asyncio.Event = field(default_factory=asyncio.Event)
    _errors: str = ""
    _answers: int = 0

    @classmethod
    async def start(
        cls, command: list[str], root: Path, variables: Mapping[str, str], *, by_lines: bool
    ) -> _Process:
        """
        Start a process.

        Raises:
            AnswerError: It cannot be started.
        """
        loop = asyncio.get_running_loop()
        popen = _start(command, root, variables)
        given, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, popen.stdin)
        process = cls(popen, loop.create_future(), given, by_lines=by_lines)
        start_outside(
            threading.Thread(target=process._wait, args=(loop,), name="llmops-command", daemon=True)
        )
        await process._connect(loop)
        return process

    def _wait(self, loop: asyncio.AbstractEventLoop) -> None:
        code = self.popen.wait()
        with suppress(RuntimeError):  # the loop was closed
            loop.call_soon_threadsafe(self._note_exit, code)

    def _note_exit(self, code: int) -> None:
        if not self.exited.done():
            self.exited.set_result(code)

    async def _connect(self, loop: asyncio.AbstractEventLoop) -> None:
        for pipe, read in ((self.popen.stdout, self._read_output), (self.popen.stderr, self._read_errors)):
            reader = asyncio.StreamReader(limit=_READ)
            transport, _ = await loop.connect_read_pipe(partial(asyncio.StreamReaderProtocol, reader), pipe)
            self._transports.append(transport)
            self._readers.append(asyncio.create_task(read(reader)))

    def is_usable(self) -> bool:
        """Return whether it waits for a case: it has not ended, and has given no answer too many."""
        while not self._lines.empty():
            line = self._lines.get_nowait()
            if line is None or _as_answer(line) is not None:
                return False
            keep_outside("stdout", line.decode("utf-8", "replace"))
        return not self.exited.done() and not self._too_large.is_set()

    async def ask(self, line: bytes) -> dict[str, Any]:
        """
        Send a line, and return the next one that is an answer.

        Raises:
            AnswerError: It ended, or its output is too large.
        """
        self._size, self._errors = 0, ""
        self._input.write(line)
        while (read := await self._lines.get()) is not None:
            answer = _as_answer(read)
            if answer is not None:
                self._answers += 1
                return answer
            self._print("stdout", read.decode("utf-8", "replace"))
        self._raise_if_too_large()
        after = counted(self._answers, "answer")
        remedy = "; one that ends after each answer has protocol: stdin or argv" if self._answers else ""
        raise AnswerError(f"{await self._describe_end()} before it answered, after {after}{remedy}")

    async def read_all(self, text: str) -> str:
        """
        Send the input, and return all output once the process has ended.

        Raises:
            AnswerError: Its exit code is not 0, its output is too large, or is no text.
        """
        if text:
            self._input.write(text.encode("utf-8", "replace"))
        self.end_input()
        too_large = asyncio.create_task(self._too_large.wait())
        ends: list[asyncio.Future[Any]] = [self.exited, too_large]
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            too_large.cancel()
        self._kill()  # what it left behind, which may hold its output open
        await asyncio.wait(self._readers, timeout=_GRACE_S)
        self._raise_if_too_large()
        if self.exited.result():
            raise AnswerError(f"{await self._describe_end()}, so its output is no answer")
        try:
            return bytes(self._output).decode("utf-8").rstrip("\r\n")
        except UnicodeDecodeError:
            raise AnswerError("the output of the command is no UTF-8") from None

    def _raise_if_too_large(self) -> None:
        if self._too_large.is_set():
            raise AnswerError(f"the output of the command is larger than {MOST_BYTES >> 20} MiB")

    def end_input(self) -> None:
        if not self._input.is_closing():
            self._input.close()  # once all is written

    async def end(self) -> None:
        """End the process and all that it started, unless that left its group."""
        self._kill()
        for transport in (self._input, *self._transports):
            if not transport.is_closing():  # it may have lost its pipe, and its loop with it
                transport.close()
        for reader in self._readers:
            reader.cancel()

    def _kill(self) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.popen.pid, signal.SIGKILL)

    async def _describe_end(self) -> str:
        ends: list[asyncio.Future[Any]] = [self.exited, *self._readers]
        await asyncio.wait(ends, timeout=_GRACE_S)
        how = "closed its output"
        if self.exited.done():
            code = self.exited.result()
            how = f"was ended by {_name_signal(-code)}" if code < 0 else f"ended with exit code {code}"
        errors = _shown(self._errors.strip(), last=True)
        return f"the command {how}" + (f" (standard error: {errors})" if errors else "")

    def _print(self, channel: Channel, text: str) -> None:
        if self.printed is not None:
            self.printed.add(channel, text)
        else:
            keep_outside(channel, text)

    async def _read_output(self, reader: asyncio.StreamReader) -> None:
        while chunk := await reader.read(_READ):
            self._size += len(chunk)
            if self._size > MOST_BYTES:
                self._too_large.set()
                self._kill()
                break
            self._output += chunk
            if self.by_lines:
                *lines, rest = bytes(self._output).split(b"\n")
                self._output = bytearray(rest)
                for line in lines:
                    self._lines.put_nowait(line + b"\n")
        if self.by_lines and self._output and not self._too_large.is_set():
            self._lines.put_nowait(bytes(self._output))
        self._lines.put_nowait(None)

    async def _read_errors(self, reader: asyncio.StreamReader) -> None:
        decoder, line = codecs.getincrementaldecoder("utf-8")("replace"), ""
        while chunk := await reader.read(_READ):
            line += decoder.decode(chunk)
            complete, newline, rest = line.rpartition("\n")
            if len(rest) > _LONGEST_LINE:
                complete, newline, rest = line, "", ""
            line = rest
            if complete:
                self._errors = (self._errors + complete + newline)[-_TAIL:]
                for part in (complete + newline).splitlines(keepends=True):
                    self._print("stderr", part)
        if line:
            self._errors = (self._errors + line)[-_TAIL:]
            self._print("stderr", line)


def _start(command: list[str], root: Path, variables: Mapping[str, str]) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(  # noqa: S603 - the user's own command
            command,
            cwd=root,
            env={**os.environ, **variables},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
        )
    except FileNotFoundError:
        raise AnswerError(
            f"the command {_name(command)} cannot be started: there is no such program in PATH or {root}, "
            "or what its first line names is not there"
        ) from None
    except (OSError, ValueError, UnicodeError) as error:
        why = printable(getattr(error, "strerror", None) or str(error), _EXCERPT)
        remedy = "; protocol: stdin takes an input of any length" if "too long" in why else ""
        raise AnswerError(f"the command {_name(command)} cannot be started: {why}{remedy}") from None


def _as_answer(line: bytes) -> dict[str, Any] | None:
    """Return a line as an answer; None for any other line."""
    if not line.lstrip().startswith(b"{"):
        return None
    try:
        read = parse_json(line)
    except ValueError:
        return None
    return read if isinstance(read, dict) and read.keys() & _ANSWERS else None


def _name(command: list[str]) -> str:
    return repr(printable(command[0], 100))


def _name_signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _shown(value: Any, *, last: bool = False) -> str:
    """Return the beginning of a text, or its end, as it may be shown."""
    text = mask_shown(value if isinstance(value, str) else json.dumps(value, default=str))
    return printable(text[-_EXCERPT:] if last else text, _EXCERPT)
