"""The HTML report as its readers use it."""

from __future__ import annotations

import copy
import re
from urllib.parse import quote

import pytest
from axe_playwright_python.sync_playwright import Axe

VIEWS = ("", "cases", f"case/{quote('golden/shop.yaml::boots', safe='')}", "history", "case/nothing")
BOOTS = VIEWS[2]


def names(page):
    """The cases that the list shows, by the end of their ids."""
    page.wait_for_timeout(50)
    shown = page.locator("main a[href*='#/case/']").all_inner_texts()
    return [re.search(r"::\s*(\S+)", text)[1] for text in shown]


def test_the_first_view_says_what_broke_why_where_and_what_to_do(red, open_report):
    text = open_report(red).page.locator("main").inner_text()

    for part in (
        "environment SHORT is set now",
        "missing: 'unused'",
        "the app raised ValueError: no map",
        "pytest --llm-golden --llm-spans all",
        "good.json",
    ):
        assert part in text
    assert re.search(r"Red since\s+run", text)


def test_a_changed_file_opens_to_its_commits_and_lines(red, open_report):
    page = open_report(red).page
    assert "accepted in commit" in page.locator("main").inner_text()
    changed = page.locator("section", has=page.get_by_role("heading", name="Changed since"))
    changed.get_by_text("shop.py").click()

    assert "Speak <i>French</i>" in changed.inner_text()
    assert changed.locator("pre ins").all_inner_texts() == ["+LANGUAGE = '<b>fr</b>'"]


def test_a_failing_case_shows_both_outputs_with_the_words_that_went_and_its_spans(red, open_report):
    page = open_report(red).page
    page.get_by_role("link", name=re.compile("boots")).first.click()

    assert page.locator("h1").inner_text() == "golden/shop.yaml::boots"
    assert "unused" in page.locator("main del").all_inner_texts()[-1] + "".join(
        page.locator("main del").all_inner_texts()
    )
    text = page.locator("main").inner_text()
    for part in ("keywords", "Within 60 days if unused.", "pytest --llm-golden golden/shop.yaml::boots"):
        assert part in text
    rows = page.locator("section", has=page.get_by_role("heading", name="Spans")).inner_text()
    assert [name for name in ("agent", "search", "chat m") if name in rows] == ["agent", "search", "chat m"]
    assert "120" in rows  # tokens


def test_each_view_has_an_address(red, open_report):
    opened = open_report(red)

    for view, title in zip(
        VIEWS, ("golden/shop.yaml", "Cases", "::boots", "History", "No such case"), strict=True
    ):
        assert title in opened.go(view).locator("h1").inner_text().replace("\n", "")


FILTERS = {
    "s:red": {"boots", "store"},
    "s:error": {"store"},
    "-s:red": {"express", "bread"},
    "@policy": {"boots"},
    "metric:keywords<1": {"boots", "bread"},
    "metric:keywords>=1": {"express"},
    "harbour": set(),
    '"express delivery"': {"express"},
    "5.95 s:passed": {"express"},
    "s:purple": {"boots", "store", "express", "bread"},  # a filter that is wrong empties nothing
}


def test_filters(red, open_report):
    page = open_report(red).go("cases")
    for filtered, expected in FILTERS.items():
        page.locator("input[type=search]").fill(filtered)
        assert set(names(page)) == expected, filtered
    assert "s: takes red, regressed" in page.locator(".wrong").inner_text()


def test_the_keys(red, open_report):
    page = open_report(red).page

    def at():
        page.wait_for_timeout(50)
        return page.url.partition("#")[2]

    for key in "gc":
        page.keyboard.press(key)
    assert at() == "/cases"
    page.locator("input[type=search]").wait_for()
    page.keyboard.press("/")
    page.keyboard.type("s:red")
    assert len(names(page)) == 2
    page.keyboard.press("Escape")
    page.locator("main a[href*='#/case/']").first.click()
    first = at()
    page.keyboard.press("j")
    assert at() != first
    page.keyboard.press("k")
    assert at() == first
    page.keyboard.press("?")
    assert page.locator("dialog").is_visible()
    page.keyboard.press("Escape")
    assert page.locator("dialog").is_hidden()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_axe_finds_nothing_and_no_view_scrolls_sideways(red, open_report, scheme, width):
    options = {"color_scheme": scheme, "viewport": {"width": width, "height": 800}, "bypass_csp": True}
    opened = open_report(red, **options)
    for view in VIEWS:
        page = opened.go(view)
        found = Axe().run(page).response["violations"]
        assert [(item["id"], [node["target"] for node in item["nodes"]]) for item in found] == []
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


HOSTILE = (
    "<script>window.hacked=1</script></script><img src=x onerror=hacked=1><svg onload=window.hacked=1>",
    "javascript:window.hacked=1 {{constructor.constructor('window.hacked=1')()}} ${window.hacked=1} `x`",
    "\u202egnp.exe\u2066 \x1b[31mred\x1b[0m \x00 \ud800",
    "x" * 100_000,
)


def poison(value, text):
    """Replace every text by a hostile one, but for ids and words of the format."""
    kept = {"case", "metric", "stage", "comparison", "input_hash", "span_id", "parent_id"}
    if isinstance(value, dict):
        return {name: part if name in kept else poison(part, text) for name, part in value.items()}
    if isinstance(value, list):
        return [poison(part, text) for part in value]
    return text if isinstance(value, str) else value


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_texts_are_only_texts(write_report, open_report, text):
    def change(run):
        return {
            **run,
            **{name: poison(run[name], text) for name in ("results", "signature", "environment")},
        }

    opened = open_report(write_report(f"hostile{HOSTILE.index(text)}", change))
    for view in VIEWS[:3]:
        page = opened.go(view)
        assert page.evaluate("window.hacked") is None
        shown = page.locator("main").inner_text()
        assert "\u202e" not in shown
        assert "\x1b" not in shown
        assert page.locator("a[href^='javascript']").count() == 0
        assert page.locator("main script, main img, main svg[onload]").count() == 0


def test_thousands_of_cases_are_a_list_of_which_a_window_is_laid_out(write_report, open_report):
    def change(run):
        first = run["results"][0]
        results = [{**copy.copy(first), "case": f"golden/shop.yaml::n{at:05}"} for at in range(5_000)]
        return {**run, "results": results}

    page = open_report(write_report("large", change, "--baseline", "none")).go("cases")
    assert "5,000 of 5,000" in page.locator("h1").inner_text()
    assert 5 < len(names(page)) <= 60
    page.mouse.move(600, 500)
    page.mouse.wheel(0, 300_000)
    page.wait_for_timeout(200)
    assert names(page)[0] > "n01000"
    page.locator("input[type=search]").fill("n04999")
    assert names(page) == ["n04999"]


def test_the_printed_report_has_the_red_cases_and_no_controls(red, open_report):
    page = open_report(red).page
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")

    text = page.locator("body").inner_text()
    assert "golden/shop.yaml::boots" in text.replace("\n", "")
    assert "Within 60 days of delivery." in text
    controls = page.locator("header, input, select, button:has-text('copy')")
    assert controls.filter(visible=True).count() == 0


@pytest.mark.parametrize("damage", [lambda data: data[:-40], lambda _: "", lambda _: "H4sIAAAAAAAA"])
def test_damaged_data_is_one_sentence(red, open_report, tmp_path, damage):
    text = red.read_text(encoding="utf-8")
    data = re.search(r'id="data">([^<]*)<', text)[1]
    broken = tmp_path / "broken.html"
    broken.write_text(text.replace(data, damage(data)), encoding="utf-8")

    shown = open_report(broken).page.locator("main").inner_text()
    assert "The data of this report is damaged" in shown
