"""The page: what it holds, that it stands alone, and that nothing a model wrote can run in it."""

import base64
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from folders import folder
from made_up import made_up

from lcpo.evaluate.records import Sample
from lcpo.report.headline import headline
from lcpo.report.load import load
from lcpo.report.page import common, html, segments, thoughts, write_all, write_page

BUDGETS = (8, 16, 32, 64)
HOSTILE = (
    "<script>document.title='owned'</script>",
    "<img src=x onerror=\"document.title='owned'\">",
    "</pre></script></style></title><svg onload=\"document.title='owned'\">",
    "<iframe srcdoc=\"<script>parent.document.title='owned'</script>\"></iframe>",
    "\"><a href=\"javascript:document.title='owned'\" onmouseover='1'>x</a>",
    "<style>body{display:none}</style><base href=http://example.invalid/><meta http-equiv=refresh content=0>",
    "{{ 7 * 7 }} {% raw %} ${7*7} <!-- ]]> \x00 \u202e",
)


class Elements(HTMLParser):
    """Every element and attribute of a page, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def hostile(samples: list[Sample]) -> list[Sample]:
    """The samples with every text in them turned against the page."""
    everything = "".join(HOSTILE)
    names = {"task": f"sums{HOSTILE[0]}", "wording": HOSTILE[1]}
    return [
        replace(s, text=f"<think>{everything}</think>{HOSTILE[i % len(HOSTILE)]}", prompt=everything + s.prompt,
                answer=everything, gold=everything, run=s.run + HOSTILE[2], model=s.model + HOSTILE[4], **names)
        for i, s in enumerate(samples)
    ]  # fmt: skip


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folder(tmp_path_factory.mktemp("clean") / "ev", made_up(10, 2, BUDGETS), seed=0)


def test_it_holds_every_part(clean: Path, tmp_path: Path) -> None:
    page = write_page(load([clean]), tmp_path / "page.html").read_text(encoding="utf-8")
    for part in (
        "Accuracy against tokens used", "Asked for, and used", "How far a single answer misses", "Answers over budget",
        "Tokens that carry nothing", "was not measured here", "Single answers, budget by budget",
        "At equal tokens used", "Thought and answer",
        "The same question at three budgets", "What it saves", "All numbers", "guessing: 1 %", "How it was made",
        "tiny-exact", "tiny · s1_fair", "Think for N tokens.", "asked = used", "one length at every budget",
        "the method inserted something",
    ):  # fmt: skip
        assert part in page, part
    assert "nan" not in re.sub(r"base64,[^\"]*", "", page).lower().replace("finance", "")


def test_it_stands_alone(clean: Path) -> None:
    page = html(load([clean]))
    elements = Elements(page)
    assert page.startswith("<!doctype html>")
    for tag, attributes in elements.found:
        assert tag not in {"link", "img", "iframe", "object", "embed", "base", "form"}, tag
        for name, value in attributes.items():
            assert not name.startswith("on") and name not in {"src", "style", "srcdoc"}, (tag, name)
            assert name != "href" or (value or "").startswith("#")
    policy = next(a["content"] for t, a in elements.found if t == "meta" and "http-equiv" in a) or ""
    assert policy.startswith("default-src 'none'") and "unsafe" not in policy and "http" not in policy


def test_a_link_to_it_has_a_preview(clean: Path) -> None:
    page = html(load([clean]), title='A "title" <b>')
    tags = {
        a.get("name") or a.get("property"): a["content"]
        for t, a in Elements(page).found
        if t == "meta" and "content" in a
    }
    said = headline(load([clean]), "sums")
    assert tags["description"] == tags["og:description"] == tags["og:image:alt"] == said and len(said) < 300
    assert tags["og:title"] == 'A "title" <b>' and tags["twitter:card"] == "summary_large_image"
    image = base64.b64decode((tags["og:image"] or "").removeprefix("data:image/png;base64,"), validate=True)
    assert image.startswith(b"\x89PNG") and len(image) < 60_000


def test_the_sentence_and_the_picture_come_first(clean: Path) -> None:
    page = html(load([clean]))
    parts = [
        page.index(part) for part in ('<p class="headline">', 'class="chart wide"', "<nav>", '<div class="cards">')
    ]
    assert parts == sorted(parts)


def test_manifests_are_folded(clean: Path) -> None:
    page = html(load([clean]))
    assert "<details><summary>ev: manifest</summary><pre>" in page


def test_every_link_leads_somewhere(clean: Path) -> None:
    elements = Elements(html(load([clean])))
    places = {a.get("id") for _, a in elements.found}
    assert {(a["href"] or "")[1:] for t, a in elements.found if t == "a"} <= places


def test_hostile_text_adds_no_element(clean: Path, tmp_path: Path) -> None:
    samples = list(made_up(10, 2, BUDGETS))
    bad = html(load([folder(tmp_path / "bad", hostile(samples), note="".join(HOSTILE))]))
    found = Elements(bad)
    kinds = {tag for tag, _ in found.found}
    assert kinds == {tag for tag, _ in Elements(html(load([clean]))).found}
    assert sum(tag == "script" for tag, _ in found.found) == sum(tag == "style" for tag, _ in found.found) == 1
    assert not any(name.startswith("on") for _, attributes in found.found for name in attributes)
    assert "{{ 7 * 7 }}" in "".join(found.text) and "49" not in HOSTILE[-1]


def test_several_folders_are_compared_across(tmp_path: Path) -> None:
    samples = list(made_up(10, 2, BUDGETS))
    parts = [folder(tmp_path / model, [s for s in samples if s.model == model]) for model in ("tiny", "tiny-exact")]
    found = load(parts, resamples=20)
    assert {(c["a"], c["b"]) for c in found.results["comparisons"]} >= {("base", "exact-0")}
    assert [name for name, _ in found.manifests] == ["tiny", "tiny-exact"]
    assert "tiny-exact" in html(found)


def test_a_folder_without_samples_still_makes_a_page(clean: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    (bare / "results.json").write_bytes((clean / "results.json").read_bytes())
    page = html(load([bare]))
    assert "All numbers" in page and "The same question" not in page
    assert "All numbers" in html(load([bare, clean]))


def test_nulls_are_dashes(tmp_path: Path) -> None:
    unknown = {"tokens": None, "thinking_tokens": None, "answer_tokens": None, "filler_tokens": None}
    samples = [replace(s, length_source="usage", **unknown) for s in made_up(4, 1, BUDGETS)]
    page = html(load([folder(tmp_path / "unknown", samples)]))
    assert ">–<" in page and "None" not in page
    assert "Accuracy against tokens asked for" in page and "Does it do as it is told?" not in page
    assert "$ per million" not in page
    links = Elements(page).found
    assert {(a["href"] or "")[1:] for t, a in links if t == "a"} <= {a.get("id") for _, a in links}


def test_servers_that_report_no_tokens_are_drawn_before_and_after(tmp_path: Path) -> None:
    unknown = {"tokens": None, "thinking_tokens": None, "answer_tokens": None, "filler_tokens": None, "seen": None}
    samples = [replace(s, kind="exact" if s.budget else "none", **unknown) for s in made_up(4, 1, BUDGETS)]
    page = html(load([folder(tmp_path / "unknown", samples)]))
    assert "Accuracy: from tiny to tiny-exact" in page and "Tokens: from tiny" not in page


def test_one_sample_makes_a_page(tmp_path: Path) -> None:
    assert "All numbers" in html(load([folder(tmp_path / "one", list(made_up(1, 1, (8,)))[:1])]))


def test_published_points_are_drawn_beside(tmp_path: Path) -> None:
    samples = [replace(s, task="aime2025") for s in made_up(4, 1, BUDGETS)]
    found = load([folder(tmp_path / "aime", samples)])
    page = html(found, published=True)
    assert "L1-Exact (paper)" in page and "S1 (paper)" in page
    assert "(paper)" not in html(found)


def test_thoughts_stand_side_by_side_at_three_budgets(clean: Path) -> None:
    found = load([clean])
    curve = next(c for c in found.curves if c.key.model == "tiny-exact")
    shown = thoughts(found, curve)
    assert shown is not None and len(shown["problems"]) == 3
    for problem in shown["problems"]:
        assert [sample.budget for sample, _ in problem["samples"]] == [8, 32, 64]
        assert all("".join(text for _, text in parts) == sample.text for sample, parts in problem["samples"])


def test_segments_mark_filler_and_answer() -> None:
    one = replace(next(iter(made_up(1, 1))), text="<think> b65 b65 c58</think>58 c11")
    assert segments(one) == [
        ("thought", "<think> b65 "), ("thought filler", "b65"), ("thought", " c58</think>"), ("answer", "58 "),
        ("answer filler", "c11"),
    ]  # fmt: skip


def test_prompts_are_shown_once() -> None:
    assert common(["Add 12. Think for 12 tokens.", "Add 12. Think for 15 tokens."]) == "Add 12. Think for N tokens."
    assert common(["Add 12. Think for 8 tokens.", "Add 12. Think for 128 tokens."]) == "Add 12. Think for N tokens."
    assert common(["same", "same"]) == "same"


def test_long_texts_are_cut_and_say_so(tmp_path: Path) -> None:
    samples = [replace(s, text="<think>" + "x" * 10_000) for s in made_up(2, 1, (8, 16))]
    assert "more characters]" in html(load([folder(tmp_path / "long", samples)]))


def test_write_all_puts_page_and_plots_beside_the_results(clean: Path) -> None:
    written = write_all(clean)
    assert written[0] == clean / "report.html"
    assert {path.name for path in written[1:]} >= {"accuracy.png", "asked_used.png", "miss.png", "errors_0.png"}
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in written[1:])


def test_the_same_results_give_the_same_page(clean: Path) -> None:
    assert html(load([clean])) == html(load([clean]))


def test_manifest_is_shown_as_it_is(tmp_path: Path) -> None:
    manifest = {"seed": 7, "machine": {"cores": 2}}
    page = "".join(Elements(html(load([folder(tmp_path / "m", made_up(2, 1, (8, 16)), **manifest)]))).text)
    assert json.dumps({"lcpo": "0", **manifest}, indent=2) in page
