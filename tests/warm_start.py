"""`warm_start.py ADDRESS …` is `python …`, forked by the server of tests/warm.py at that address."""

from __future__ import annotations

import json
import os
import socket
import sys

server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
server.connect(sys.argv[1])
request = {
    "command": [sys.executable, *sys.argv[2:]],
    "folder": os.getcwd(),  # noqa: PTH109 - pathlib takes long to import
    "environment": dict(os.environ),
    "linked": True,
}
socket.send_fds(server, [json.dumps(request).encode()], [0, 1, 2])
server.recv(100)
nothing = os.open(os.devnull, os.O_RDWR)
for stream in (0, 1, 2):  # whose other ends have to notice when the process closes them
    os.dup2(nothing, stream)
os._exit(os.waitstatus_to_exitcode(int(server.recv(100) or 256)) & 255)
