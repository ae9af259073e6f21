"""The page in a real browser, where there is one: `playwright` in Python and a Chromium on the path."""

from __future__ import annotations

import re
import shutil

import pytest

from reference_app.serving.routes import PAGE
from tests.app.serving.stand_in import CALL, HOSTILE, SECTION, SECTIONS

CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-headless-shell") or shutil.which("google-chrome")
)
QUIET = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update")
SHOWN = HOSTILE.replace("\u202e", "\\u{202e}")


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
    context = chromium.new_context(base_url=str(client.base_url), viewport={"width": 360, "height": 640})
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
    wide = page.evaluate("document.documentElement.scrollWidth")
    context.close()
    assert (said, elsewhere) == ([], [])
    assert wide <= 360


def ask(page, question):
    page.get_by_label("Your message").fill(question)
    page.keyboard.press("Enter")
    page.locator("article[aria-busy=false] .text:not(.draft)").last.wait_for()


def answer(page):
    return page.locator("article").last.locator(".text")


def test_the_page_needs_nothing_from_elsewhere_and_puts_no_text_into_it_as_html():
    html, script, style = ((PAGE / name).read_text() for name in ("index.html", "page.js", "page.css"))

    assert "//" not in html + style
    assert not re.search(r"https?://", script)
    assert not re.search(r"\.(inner|outer)HTML|insertAdjacent|document\.write|eval\(", script)
    assert not re.search(r"\son\w+=|style=|<script>|<style>", html)


def test_an_answer_comes_with_sources_that_open_their_text(page):
    ask(page, "How heavy is it?")

    assert answer(page).inner_text() == "The Kestrel tent weighs 3.4 kg. [1]"
    assert page.evaluate("document.activeElement.id") == "question"
    for link in (answer(page).get_by_role("link"), page.get_by_role("link", name="[1] Tents > Weight")):
        link.focus()
        page.keyboard.press("Enter")
        dialog = page.get_by_role("dialog", name="Tents > Weight")
        assert dialog.locator("p").inner_text() == SECTIONS[SECTION].text
        page.keyboard.press("Escape")
        assert not dialog.is_visible()


def test_markdown_is_rendered(page):
    ask(page, "markdown")

    text = answer(page)
    assert text.locator("h3").inner_text() == "Two tents"
    assert text.locator("strong").all_inner_texts() == ["Kestrel", "3.4"]
    assert (text.locator("em").inner_text(), text.locator("code").inner_text()) == ("3.4 kg", "3 bags")
    assert text.locator("ul li").all_inner_texts() == ["packed in 3 bags", "with pegs"]
    assert text.locator("ol li").all_inner_texts() == ["Pitch it", "Sleep"]
    assert [row.locator("th, td").all_inner_texts() for row in text.locator("tr").all()] == [
        ["tent", "kg"], ["Kestrel", "3.4"],
    ]  # fmt: skip
    assert text.locator("blockquote").inner_text() == "It is light."
    assert page.get_by_text("A draft that our documents do not bear out was left out.").is_visible()


def test_what_the_model_writes_is_text_and_so_is_a_source(page):
    ask(page, "hostile")

    text = answer(page).text_content()
    assert text.startswith(SHOWN.partition("[")[0])
    assert text.endswith("press (javascript:document.title=1) x")
    assert page.locator("article a").all_text_contents() == [f"[1] {SHOWN}", "[2] complaint.txt"]
    page.get_by_role("link", name="[1]").click()
    assert page.get_by_role("dialog").locator("p").text_content() == SHOWN
    assert page.locator("article img, article script, dialog img, dialog script").count() == 0
    assert page.title() == "Fellwind Outfitters support"


def test_brackets_that_are_no_source_stay_as_they_are(page):
    ask(page, "other brackets")

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
        (["Enter"], "It is denied.", False),  # the focus is on Cancel
        (["Escape"], "It is denied.", False),
        (["Shift+Tab", "Enter"], "It is confirmed.", True),
    ],
)
def test_a_person_decides_by_keyboard_on_exactly_what_is_shown(page, app, keys, text, decided):
    ask(page, "refund")
    card = page.get_by_role("region", name="Please confirm")
    card.wait_for()

    rows = [row.locator("th, td").all_inner_texts() for row in card.locator("tr").all()]
    assert rows == [
        ["action", CALL["name"].replace("_", " ")],
        ["order id", "FW-20001"],
        ["note", "<b>\\u{202e}all</b>"],
        ["points", "5"],
    ]
    assert app.decided == []
    for key in keys:
        page.keyboard.press(key)

    page.get_by_text(text, exact=True).wait_for()
    assert [approved for _, approved in app.decided] == [decided]


def test_another_message_leaves_a_card_undecided(page, app):
    ask(page, "refund")
    ask(page, "hello")

    assert page.get_by_text("Not decided here.").is_visible()
    assert page.get_by_role("button", name="Confirm").count() == 0
    assert app.decided == []


def test_a_conversation_is_one_thread_until_a_new_one_is_begun(page, app):
    page.get_by_role("button", name="How do I return boots?").click()
    answer(page).and_(page.locator(":not(.draft)")).wait_for()
    assert not page.get_by_label("Examples").is_visible()
    ask(page, "hello")
    page.get_by_role("button", name="New chat").click()
    assert page.get_by_label("Examples").is_visible()
    ask(page, "hello")

    threads = [thread for _, thread in app.asked]
    assert threads[0] == threads[1] != threads[2]
    assert page.locator(".mine").all_inner_texts() == ["hello"]


def test_stop_hangs_up(page, app):
    page.get_by_label("Your message").fill("endless")
    page.keyboard.press("Enter")
    page.get_by_text("retriever").wait_for()
    page.get_by_role("button", name="Stop").click()

    page.get_by_text("Stopped.").wait_for()
    assert app.hung_up.wait(10)
    assert page.get_by_role("button", name="Send").is_visible()


@pytest.mark.parametrize("question", ["bug", "no weights"])
def test_an_error_is_shown(page, question):
    ask(page, question)

    assert answer(page).inner_text() == "Sorry, we cannot answer at the moment. Please try again later."


def test_an_empty_message_is_not_sent(page, app):
    page.get_by_label("Your message").fill("  ")
    page.keyboard.press("Enter")
    ask(page, "How heavy is it?")

    assert [question for question, _ in app.asked] == ["How heavy is it?"]


@pytest.mark.parametrize(("scheme", "back"), [("dark", "rgb(20, 24, 26)"), ("light", "rgb(246, 245, 241)")])
def test_the_page_is_dark_where_the_system_is(page, scheme, back):
    page.emulate_media(color_scheme=scheme)

    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == back
