"""`llmops view`: the reports of a folder, for the browser of this machine."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from tests.cli.test_comment import shop
from tests.command import main
from tests.report_page import read_data

__all__ = ["shop"]


@pytest.fixture
def served(shop):
    """The address of the folder `runs`, which has two runs of the shop."""
    (shop / "runs").mkdir()
    (shop / "runs/broken.json").write_text("[")
    (shop / "base.json").rename(shop / "runs/first.json")
    main(["run", "--out", "runs/second.json"])
    code = "from pytest_llmops.cli import main; raise SystemExit(main(['view', 'runs', '--no-open']))"
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, cwd=shop, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - ours
        address = re.match(r"http://127\.0\.0\.1:\d+/", process.stdout.readline())[0]
        yield shop, address
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0


def fetch(address, **headers):
    try:
        with urlopen(Request(address, headers=headers), timeout=60) as answer:  # noqa: S310 - loopback
            return answer.status, answer.read().decode(), answer.headers
    except HTTPError as error:
        return error.code, error.read().decode(), error.headers


def test_the_newest_run_is_shown_and_the_others_are_its_history(served):
    shop, address = served
    page = shop / "page.html"

    for name, title in (("", "second"), ("first.json", "first")):
        status, text, headers = fetch(address + name)
        page.write_text(text, encoding="utf-8")
        data = read_data(page)
        assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
        assert [one["name"] for one in data["history"]][-1] == title
        assert len(data["history"]) == 2

    time.sleep(0.01)
    (shop / "runs/second.json").write_text((shop / "runs/first.json").read_text())
    page.write_text(fetch(address)[1], encoding="utf-8")
    assert read_data(page)["environment"] == data["environment"]


def test_nothing_else_is_served(served):
    _, address = served
    for path, host, status, message in (
        ("none.json", None, 404, "there is no such run here"),
        ("../base.json", None, 404, "there is no such run here"),
        ("%2e%2e%2fshop.py", None, 404, "there is no such run here"),
        ("broken.json", None, 500, "broken.json"),
        ("", "evil.example", 403, "only this machine is served"),
        ("", "[", 403, "only this machine is served"),
    ):
        code, text, _ = fetch(address + path, **({"Host": host} if host else {}))
        assert (code, message in text) == (status, True), path


def test_a_folder_that_is_none_is_one_message(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    assert main(["view"]) == 4
    assert ".llmops/runs is no folder" in capsys.readouterr().err
