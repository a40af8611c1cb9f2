"""The page as a reader sees it: hostile text does not run, tables sort, prices change, and a phone can show it."""

from pathlib import Path

import pytest
from browser import browser, needs_chromium
from folders import folder
from made_up import made_up
from test_page import BUDGETS, HOSTILE, hostile

from lcpo.report.load import load
from lcpo.report.page import write_page

pytestmark = [needs_chromium, pytest.mark.slow]


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("pages")
    samples = list(made_up(8, 2, BUDGETS))
    clean = write_page(load([folder(root / "clean", samples)]), root / "clean.html")
    bad = write_page(load([folder(root / "bad", hostile(samples), note="".join(HOSTILE))]), root / "bad.html")
    planted = root / "planted.html"
    text = bad.read_text(encoding="utf-8")
    planted.write_text(text.replace("<main>", f"<main>{HOSTILE[0]}{HOSTILE[1]}", 1), encoding="utf-8")
    return {"clean": clean, "bad": bad, "planted": planted}


def test_hostile_text_does_not_run(pages: dict[str, Path]) -> None:
    with browser() as chromium:
        chromium.open(pages["bad"])
        assert chromium.run("return document.title").startswith("Token budgets")
        assert chromium.run("return performance.getEntriesByType('resource').length") == 0
        assert chromium.run("return document.querySelectorAll('main script, img, iframe').length") == 0
        assert chromium.run("return getComputedStyle(document.body).display") == "block"
        assert chromium.run("return document.querySelector('.thought pre').textContent").startswith("<think><script>")
        assert chromium.complaints() == []


def test_even_markup_that_got_through_would_not_run(pages: dict[str, Path]) -> None:
    with browser() as chromium:
        chromium.open(pages["planted"])
        assert chromium.run("return document.querySelectorAll('main > script, main > img').length") == 2
        assert chromium.run("return document.title").startswith("Token budgets")
        assert any("Content Security Policy" in message for message in chromium.complaints())


def test_tables_sort_by_number_and_by_name(pages: dict[str, Path]) -> None:
    column = (
        "return [...document.querySelectorAll('#numbers ~ .scroll tbody')[0].rows].map(r => r.cells[%d].dataset.value)"
    )
    click = "[...document.querySelectorAll('#numbers ~ .scroll')[0].querySelectorAll('th')][%d].click();"
    with browser() as chromium:
        chromium.open(pages["clean"])
        up = [float(v) for v in chromium.run(click % 3 + column % 3)]
        assert up == sorted(up) and len(set(up)) > 3
        down = [float(v) for v in chromium.run(click % 3 + column % 3)]
        assert down == up[::-1] or down == sorted(up, reverse=True)
        budgets = chromium.run(click % 1 + column % 1)
        assert budgets[-1] == "" and budgets[0] == "8"  # rows without a budget stay last
        assert chromium.complaints() == []


def test_savings_follow_price_count_and_baseline(pages: dict[str, Path]) -> None:
    script = """
        const box = document.querySelector('.savings'), set = (name, value) => {
            const input = box.querySelector(`[name="${name}"]`);
            input.value = value; input.dispatchEvent(new Event('input'));
        };
        set('price', 2); set('count', 1000000); set('base', '0');
        const rows = [...box.querySelectorAll('tbody tr')];
        return rows.map(r => [Number(r.dataset.tokens), r.querySelector('[data-cell=cost]').textContent,
                              r.querySelector('[data-cell=saved]').textContent]);
    """
    with browser() as chromium:
        chromium.open(pages["clean"])
        rows = chromium.run(script)
    first = rows[0][0]
    for tokens, cost, saved in rows:
        assert float(cost.removeprefix("$").replace(",", "")) == pytest.approx(2 * tokens, abs=0.0051)
        share = 100 * (first - tokens) / first
        assert float(saved.replace("−", "-").removesuffix(" %")) == pytest.approx(share, abs=0.051)


def test_a_legend_hides_and_shows_a_series(pages: dict[str, Path]) -> None:
    script = """
        const figure = document.querySelector('figure'), button = figure.querySelector('.legend button');
        const own = [...figure.querySelectorAll('svg.wide g[data-series]')]
            .filter(group => group.dataset.series === button.dataset.series);
        const seen = () => own.filter(group => getComputedStyle(group).display !== 'none').length;
        const before = seen(); button.click(); const hidden = seen(); button.click();
        return [before, hidden, seen()];
    """
    with browser() as chromium:
        chromium.open(pages["clean"])
        before, hidden, after = chromium.run(script)
        assert before == after > len(BUDGETS) and hidden == 0


@pytest.mark.parametrize(("width", "height", "picture"), [(1280, 900, "wide"), (390, 800, "narrow")])
def test_the_first_screen_is_the_sentence_and_the_picture(
    pages: dict[str, Path], width: int, height: int, picture: str
) -> None:
    with browser(width, height) as chromium:
        chromium.open(pages["clean"])
        assert chromium.run(LOWEST % ".headline") < chromium.run(LOWEST % f"svg.{picture}")
        assert chromium.run(LOWEST % f"svg.{picture}") <= chromium.run("return innerHeight")


LETTERS = """
    return Math.min(...[...document.querySelectorAll('svg.chart text')].map(text => {
        const shown = text.ownerSVGElement.getBoundingClientRect().width;
        return parseFloat(getComputedStyle(text).fontSize) * shown / text.ownerSVGElement.viewBox.baseVal.width;
    }).filter(size => size > 0));
"""


OFF_SCREEN = """
    document.querySelectorAll('details').forEach(one => { one.open = true; });
    return [...document.querySelectorAll('body *')].filter(one => {
        const box = one.getBoundingClientRect();
        return box.width > 0 && (box.left < -0.5 || box.right > innerWidth + 0.5);
    }).map(one => one.outerHTML.slice(0, 80));
"""
LOWEST = "return document.querySelector('%s').getBoundingClientRect().bottom"


@pytest.mark.parametrize("name", ["clean", "bad"])
def test_a_phone_shows_it_without_scrolling_sideways(pages: dict[str, Path], name: str) -> None:
    with browser(390, 740) as chromium:
        chromium.open(pages[name])
        assert chromium.run("return document.documentElement.scrollWidth") <= 390
        assert chromium.run(OFF_SCREEN) == []
        seen = "return [...document.querySelectorAll('svg.%s')].some(s => s.getBoundingClientRect().width > 0)"
        assert chromium.run(seen % "narrow") and not chromium.run(seen % "wide")
        assert chromium.run(LETTERS) > 9  # pixels


def test_pictures_follow_light_and_dark(pages: dict[str, Path]) -> None:
    colours = """
        const fill = selector => getComputedStyle(document.querySelector(selector)).fill;
        return [fill('svg.wide text'), fill('svg.wide path'), fill('svg.wide g[data-series] use')];
    """
    with browser() as chromium:
        shown = {}
        for mode in ("light", "dark"):
            feature = {"name": "prefers-color-scheme", "value": mode}
            chromium.call("POST", "goog/cdp/execute", cmd="Emulation.setEmulatedMedia", params={"features": [feature]})
            chromium.open(pages["clean"])
            shown[mode] = chromium.run(colours)
    assert shown["light"][:2] == ["rgb(90, 100, 114)", "rgb(255, 255, 255)"]
    assert shown["dark"][:2] == ["rgb(163, 173, 187)", "rgb(22, 27, 34)"]
    assert shown["light"][2] != shown["dark"][2]
