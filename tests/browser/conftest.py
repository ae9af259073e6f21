"""Reports of a real run, opened in Chromium; `make browser` runs these tests."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import sync_playwright

from tests.command import main
from tests.git_settings import forget_git_settings

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
QUIET = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip

APP = """
import os
from opentelemetry import trace

ANSWERS = {
    "How long can I send boots back?": "Within 60 days of delivery, if they are unused and in their box.",
    "What does express delivery cost?": "Express delivery costs £5.95.",
    "Where is the store?": "In Harbour Street 4.",
    "Do you sell bread?": "We do not know.",
}

def answer(question):
    with trace.get_tracer("shop").start_as_current_span("agent"):
        with trace.get_tracer("shop").start_as_current_span("search", attributes={"query": question}):
            text = ANSWERS[question]
        with trace.get_tracer("shop").start_as_current_span("chat m") as span:
            span.set_attributes({"gen_ai.usage.input_tokens": 100, "gen_ai.usage.output_tokens": 20})
    if os.environ.get("SHORT"):
        text = text.partition(",")[0] + "."
        if "store" in question:
            raise ValueError("no map")
    call = {"name": "search", "arguments": {"query": question}}
    return {"text": text, "passages": [{"id": "rules", "text": text}], "tool_calls": [call]}
"""
GOLDEN = """
app: shop:answer
suite: {keywords: {mean: ">= 0.1", max_drop: 0.05}}
cases:
  - {id: boots, input: How long can I send boots back?, reference: Within 60 days if unused.,
     relevant: [rules], tags: [policy], checks: {keywords: {all: [60 days, unused]}}}
  - {id: express, input: What does express delivery cost?, checks: {keywords: {all: ["5.95"]}}}
  - {id: store, input: Where is the store?, checks: {keywords: {all: [Harbour]}}}
  - {id: bread, input: Do you sell bread?, checks: {keywords: {all: ["No"]}}}
"""


@dataclass(frozen=True, slots=True)
class Opened:
    """A page, and what it must not have: requests, messages of the console, dialogs."""

    page: Any
    address: str
    noise: list[str] = field(default_factory=list)

    def go(self, view: str) -> Any:
        """Open a view by its address, as from a link in a mail."""
        self.page.goto("about:blank")
        self.page.goto(f"{self.address}#/{view}")
        self.page.locator("h1").wait_for()
        return self.page


@pytest.fixture(scope="session")
def shop(tmp_path_factory) -> Path:
    """A project with the run of a good app, `good.json`, and of one that answers too shortly, `run.json`."""
    folder: Path = tmp_path_factory.mktemp("shop")
    (folder / "golden").mkdir()
    (folder / "shop.py").write_text(APP, encoding="utf-8")
    (folder / "golden/shop.yaml").write_text(GOLDEN, encoding="utf-8")
    (folder / "pyproject.toml").touch()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.syspath_prepend(folder)
        forget_git_settings(patch)
        main(["run", "--out", "good.json", "--repeats", "3"])
        commit(folder, "Accept")
        with (folder / "shop.py").open("a", encoding="utf-8") as file:
            file.write("LANGUAGE = '<b>fr</b>'\n")
        commit(folder, "Speak <i>French</i>")
        patch.setenv("SHORT", "1")
        main(["run", "--out", "run.json", "--repeats", "3"])
    return folder


def commit(folder: Path, message: str) -> None:
    for words in (["init", "-q"], ["add", "--all"], ["commit", "-qm", message]):
        subprocess.run(["git", *words], cwd=folder, check=True)  # noqa: S603, S607 - our own words


@pytest.fixture(scope="session")
def write_report(shop) -> Callable[..., Path]:
    """Write the report of a run file of the shop, or of its content, changed."""

    def write(name: str, change: Callable[[Any], Any] | None = None, *flags: str) -> Path:
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(shop)
            if change is not None:
                content = json.loads((shop / "run.json").read_text(encoding="utf-8"))
                (shop / f"{name}.json").write_text(json.dumps(change(content)), encoding="utf-8")
            flags = flags or ("--baseline", "good.json")
            assert main(["report", f"{name}.json", "-o", f"{name}.html", *flags]) == 0
        return shop / f"{name}.html"

    return write


@pytest.fixture(scope="session")
def red(write_report, shop) -> Path:
    """The report of the run that got worse, with a history."""
    (shop / "runs").mkdir()
    shutil.copy(shop / "good.json", shop / "runs/good.json")
    return write_report("run", None, "--baseline", "good.json", "--history", "runs")


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    path = next(filter(None, map(shutil.which, CHROMIUM)))
    with sync_playwright() as started:
        launched = started.chromium.launch(executable_path=path, args=list(QUIET))
        yield launched
        launched.close()


@pytest.fixture
def open_report(browser) -> Iterator[Callable[..., Opened]]:
    """Open a report; at the end of the test, nothing may have been requested, logged or asked."""
    contexts, everything = [], []

    def open_(path: Path, **options: Any) -> Opened:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 850}, **options})
        contexts.append(context)
        opened = Opened(context.new_page(), path.as_uri())
        everything.append(opened)
        page, noise = opened.page, opened.noise
        page.on("console", lambda message: noise.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: noise.append(f"error: {error}"))
        page.on("dialog", lambda dialog: (noise.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on(
            "request",
            lambda request: (
                noise.append(request.url) if not request.url.startswith((opened.address, "about:")) else None
            ),
        )
        page.goto(opened.address)
        page.locator("h1").wait_for()
        return opened

    yield open_
    for opened in everything:
        assert opened.noise == []
    for context in contexts:
        context.close()
