"""
`warm_start.py ADDRESS …` is `python …`, in a process that the server of tests/warm.py at the address forks.

This process stands for it: passes on signals, ends with its exit status, and takes it along when killed.
"""

from __future__ import annotations

import marshal
import os
import signal
import socket
import sys
from types import FrameType

PASSED_ON = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)

address, *arguments = sys.argv[1:]
first = next((argument for argument in arguments if argument != "-u"), "-")
is_known = first.startswith(("-c", "-m")) or not first.startswith("-")
if "COLD" in os.environ or not is_known or None in (sys.stdin, sys.stdout, sys.stderr):
    os.execv(sys.executable, [sys.executable, *arguments])  # noqa: S606 - our own interpreter

server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
server.connect(address)
request = {
    "arguments": arguments,
    "folder": os.getcwd(),  # noqa: PTH109 - pathlib takes long to import
    "environment": dict(os.environ),
    "leads": os.getpgrp() == os.getpid(),  # a group, which signals are passed on to
}
socket.send_fds(server, [marshal.dumps(request)], [0, 1, 2])


def pass_on(number: int, _: FrameType | None) -> None:
    try:
        server.send(bytes([number]))
    except OSError:  # it has ended
        return


for number in PASSED_ON:
    signal.signal(number, pass_on)
nothing = os.open(os.devnull, os.O_RDWR)
for stream in (0, 1, 2):  # whose other ends have to notice when the process closes them
    os.dup2(nothing, stream)
code = int(server.recv(100) or -signal.SIGKILL)
if code < 0:
    if code != -signal.SIGKILL:
        signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)
os._exit(code)
