"""The page in a real browser, where there is one: `playwright` in Python and a Chromium on the path."""

from __future__ import annotations

import re
import shutil

import pytest

from tests.app.serving.stand_in import CALL, HOSTILE

CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-headless-shell") or shutil.which("google-chrome")
)
QUIET = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update")


@pytest.fixture(scope="module")
def chromium():
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("no Chromium is on the path")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*QUIET, "--disable-sync"])
        yield browser
        browser.close()


@pytest.fixture
def page(chromium, client):
    """The page, opened; a message of the console, such as of a broken policy, fails the test."""
    context = chromium.new_context(base_url=str(client.base_url))
    page = context.new_page()
    said, elsewhere = [], []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on(
        "request",
        lambda one: (
            None if one.url.startswith((str(client.base_url), "data:")) else elsewhere.append(one.url)
        ),
    )
    page.goto("/")
    yield page
    context.close()
    assert (said, elsewhere) == ([], [])


def ask(page, question):
    page.get_by_label("Your question").fill(question)
    page.keyboard.press("Enter")


def answer(page):
    return page.locator("article:last-of-type .answer:not(.draft)")


def test_the_page_needs_nothing_from_elsewhere(client):
    reply = client.get("/")
    policy = reply.headers["content-security-policy"]

    assert "unsafe" not in policy
    assert re.search(r"script-src 'sha256-[^']+';", policy)
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "//" not in re.sub(r"^\s*// .*$", "", reply.text, flags=re.MULTILINE)
    assert not re.search(r"innerHTML|insertAdjacent|document\.write|\son\w+=|style=", reply.text)


def test_an_answer_comes_with_steps_and_sources(page):
    ask(page, "How heavy is it?")

    answer(page).wait_for()
    assert answer(page).inner_text() == "The Kestrel tent weighs 3.4 kg."
    assert page.evaluate("document.activeElement.id") == "question"
    page.get_by_text("Steps").click()
    steps = page.locator("article ol li").all_inner_texts()
    assert steps == ["plan: documents", "found: tents#weight (0.51)", "answerer"]
    page.get_by_text("Sources: Tents > Weight").click()
    assert page.locator("article ul li").inner_text() == "Tents > Weight\n\nIt weighs 3.4 kg."


def test_what_the_model_writes_is_text(page):
    ask(page, "hostile")

    answer(page).wait_for()
    assert answer(page).text_content() == HOSTILE.replace("\u202e", "\\u{202e}")
    assert page.locator("article img, article script").count() == 0
    assert page.title() == "Fellwind Outfitters support"


def test_a_source_is_cited_by_its_title_which_is_text(page):
    ask(page, "hostile title")

    shown = f"{HOSTILE} > Weight".replace("\u202e", "\\u{202e}")
    answer(page).wait_for()
    assert answer(page).text_content() == f"It weighs 3.4 kg. [{shown}]"
    assert page.locator("article summary").last.text_content() == f"Sources: {shown}"
    assert page.locator("article ul li").text_content().startswith(shown)
    assert page.locator("article img, article script").count() == 0
    assert page.title() == "Fellwind Outfitters support"


def test_brackets_that_are_no_source_stay_as_they_are(page):
    ask(page, "other brackets")

    answer(page).wait_for()
    assert answer(page).inner_text() == "[$&] [constructor] [__proto__] [tents#other]"


def test_a_script_that_got_into_the_page_would_not_run(chromium, client):
    page = chromium.new_page(base_url=str(client.base_url))
    page.goto("/")
    kept = page.evaluate(
        """() => {
          try { document.body.insertAdjacentHTML("beforeend", "<img src=x onerror='document.title=1'>"); }
          catch (error) { return error.name; }
        }"""
    )

    page.close()
    assert kept == "TypeError"  # trusted types


@pytest.mark.parametrize(
    ("keys", "text", "decided"),
    [
        (["Enter"], "It is denied.", False),  # the focus is on No
        (["Escape"], "It is denied.", False),
        (["Tab", "Enter"], "It is confirmed.", True),
    ],
)
def test_a_person_decides_by_keyboard_on_exactly_what_is_shown(page, app, keys, text, decided):
    ask(page, "refund")
    dialog = page.get_by_role("dialog", name="May the app do this?")
    dialog.wait_for()

    assert dialog.locator("caption").inner_text() == CALL.name
    rows = [row.locator("th, td").all_inner_texts() for row in dialog.locator("tr").all()]
    assert rows == [
        ["order_id", '"FW-20001"'],
        ["note", '"<b>\\u{202e}all</b>"'],
        ["points", "5"],
    ]
    assert app.decided == []
    for key in keys:
        page.keyboard.press(key)

    page.get_by_text(text, exact=True).wait_for()
    assert [approved for _, approved in app.decided] == [decided]


def test_stop_hangs_up(page, app):
    ask(page, "slow")
    page.locator(".draft:not(:empty)").wait_for()
    page.get_by_role("button", name="Stop").click()

    page.get_by_text("Stopped.").wait_for()
    assert app.hung_up.wait(10)
    assert page.get_by_role("button", name="Ask").is_visible()


@pytest.mark.parametrize("question", ["bug", "no weights", "broken tool"])
def test_an_error_is_shown(page, question):
    ask(page, question)

    page.get_by_text("Sorry, we cannot answer at the moment. Please try again later.").wait_for()
    assert "openapi" not in page.locator("article").inner_text()


def test_an_empty_question_is_not_sent(page, app):
    ask(page, "  ")
    ask(page, "How heavy is it?")

    answer(page).wait_for()
    assert [question for question, _ in app.asked] == ["How heavy is it?"]


@pytest.mark.parametrize(("scheme", "back"), [("dark", "rgb(22, 25, 27)"), ("light", "rgb(247, 246, 242)")])
def test_the_page_is_dark_where_the_system_is(page, scheme, back):
    page.emulate_media(color_scheme=scheme)

    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == back
