"""Which files of code a process has loaded, by the list of what is mapped into its memory."""

from __future__ import annotations

from pytest_llmops.recorder.native import _CODE

MAPS = """\
55d0-55d1 r--p 00000000 08:01 1     /usr/bin/python3.11
7f00-7f01 r-xp 00000000 08:01 2                          /home/ann/my libs/libasking.so.2
7f02-7f03 r--p 00002000 08:01 2                          /home/ann/my libs/libasking.so.2
7f04-7f05 r-xp 00000000 08:01 3                          /opt/plugin.node
7f06-7f07 rw-p 00000000 00:00 0
7ffc-7ffd r-xp 00000000 00:00 0                          [vdso]
"""


def test_code_is_found_whatever_its_file_is_called():
    assert _CODE.findall(MAPS) == ["/home/ann/my libs/libasking.so.2", "/opt/plugin.node"]
