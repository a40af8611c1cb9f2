"""The playground in a browser, against a real server."""

import time
from typing import Any

import httpx
import pytest
from served import QUESTION, serving_script, serving_tiny

from lcpo.engines.base import Request
from report.browser import Browser, browser, needs_chromium

pytestmark = [needs_chromium, pytest.mark.slow]


def visit(page: Browser, url: str) -> None:
    page.call("POST", "url", url=url + "/")
    wait(page, "return document.querySelector('#model').value")


def wait(page: Browser, script: str) -> Any:
    end = time.monotonic() + 120
    while time.monotonic() < end:
        if value := page.run(script):
            return value
        time.sleep(0.05)
    raise AssertionError(f"never true: {script}")


DONE = "return !document.querySelector('#ask').disabled && document.querySelectorAll('.facts')[1].textContent"


@pytest.mark.parametrize("width", [360, 1100])
def test_one_question_at_two_budgets(width: int) -> None:
    with serving_tiny() as url, browser(width, 800) as page:
        visit(page, url)
        page.run(f"document.querySelector('#question').value = '{QUESTION[0]['content']}'")
        page.run("document.querySelector('#ask').click()")
        wait(page, DONE)
        shown = page.run(
            "return [...document.querySelectorAll('.card')].map(c => [c.querySelector('.asked').textContent,"
            " c.querySelector('.facts').textContent, c.querySelector('.thought').textContent,"
            " c.querySelector('.answer').textContent])"
        )
        wide = page.run("return document.documentElement.scrollWidth")
        assert page.complaints() == []
    budgets = [int(asked.split()[0]) for asked, *_ in shown]
    assert budgets[0] < budgets[1] <= 96
    for budget, (_, facts, thought, answer) in zip(budgets, shown, strict=True):
        assert facts.startswith(f"asked {budget}, used ") and "kept by: engine" in facts
        assert thought and answer
    assert shown[1][3] == "83"
    assert wide <= width


def test_hostile_text_stays_text_and_errors_are_said() -> None:
    def script(request: Request) -> str:
        return "42" if "</think>" in request.prefix.text else "<think><img src=x onerror=alert(1)></think><script>"

    with serving_script(script, effort={"high": 500}) as url, browser() as page:
        visit(page, url)
        page.run("document.querySelector('#ask').click()")
        wait(page, DONE)
        assert page.run("return document.querySelectorAll('.card img, .card script').length") == 0
        assert "<img src=x" in page.run("return document.querySelectorAll('.thought')[1].textContent")
        page.run("document.querySelector('#model').replaceChildren(new Option('no', 'no'))")
        page.run("document.querySelector('#ask').click()")
        assert "unknown model" in wait(page, DONE)


def test_the_page_may_do_nothing_else() -> None:
    with serving_script(lambda request: "42") as url:
        policy = httpx.get(url + "/").headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
