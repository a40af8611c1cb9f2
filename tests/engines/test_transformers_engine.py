"""The transformers engine on a tiny random model: seeds, limits, stops, batches, and greedy decoding, to the letter."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from lcpo.engines.base import ON_LINES, Request, Segment
from lcpo.engines.formats import format_of
from lcpo.engines.sampling import choose, uniforms
from lcpo.engines.transformers import TransformersEngine
from lcpo.errors import EngineError
from lcpo.evaluate.traces import CachingEngine
from sums_model import configuration, tokenizer


@pytest.fixture(scope="module")
def engine() -> Iterator[TransformersEngine]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(configuration(layers=2, width=48, heads=2, head=24))
    for parameter in model.parameters():
        parameter.data *= 1.5  # a less even distribution
    yield TransformersEngine(model, tokenizer(), "random", rows=8)
    torch.set_num_threads(threads)


def requests(count: int, **changes: object) -> list[Request]:
    made = [Request(f"Add b{10 + i} c{i:02d}." + " d17" * (i % 3), 30, seed=i) for i in range(count)]
    return [replace(one, **changes) for one in made]  # type: ignore[arg-type]


def test_a_sample_depends_on_its_own_request_alone(engine: TransformersEngine) -> None:
    together = engine.generate(requests(20))
    alone = [engine.generate([one])[0] for one in requests(20)]
    assert together == alone
    assert len({one.written.ids for one in together}) > 15


def test_equal_prompts_with_other_seeds_differ(engine: TransformersEngine) -> None:
    found = engine.generate([Request("Add b11 c22.", 20, seed=seed) for seed in range(10)])
    assert len({one.written.ids for one in found}) == 10


def test_a_smaller_limit_is_a_prefix(engine: TransformersEngine) -> None:
    for long, short in zip(engine.generate(requests(6)), engine.generate(requests(6, max_tokens=7)), strict=True):
        assert long.written.ids is not None
        assert short.written.ids == long.written.ids[:7]


def test_going_on_from_ones_own_prefix_is_the_same_response(engine: TransformersEngine) -> None:
    (whole,) = engine.generate(requests(1))
    assert whole.written.ids is not None
    head = Segment(whole.written.ids[:11], "")
    (rest,) = engine.generate([replace(requests(1)[0], prefix=head, max_tokens=19)])
    assert head.ids + (rest.written.ids or ()) == whole.written.ids  # type: ignore[operator]


def test_greedy_equals_transformers_generate(engine: TransformersEngine) -> None:
    asked = requests(5, temperature=0.0, max_tokens=25)
    for request, found in zip(asked, engine.generate(asked), strict=True):
        prompt = torch.tensor([engine.prompt_ids(request)])
        out = engine.model.generate(
            prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=25, do_sample=False, temperature=None
        )
        assert tuple(out[0, prompt.shape[1] :].tolist()) == found.written.ids


def test_limits_stops_and_ends(engine: TransformersEngine) -> None:
    (free,) = engine.generate([Request("Add b11 c22.", 40, seed=3)])
    assert free.written.ids is not None
    third = engine.decode([free.written.ids[2]])
    first = free.written.ids.index(free.written.ids[2])
    (stopped,) = engine.generate([Request("Add b11 c22.", 40, seed=3, stop_ids=(free.written.ids[2],))])
    assert (stopped.finish, stopped.tokens) == ("stop", first + 1)
    assert stopped.kept.ids == free.written.ids[:first]
    (kept_going,) = engine.generate(
        [Request("Add b11 c22.", 40, seed=3, stop_ids=(free.written.ids[0],), min_tokens=1)]
    )
    assert kept_going.written.ids is not None
    assert kept_going.written.ids[0] != free.written.ids[0]
    if len(engine.encode(third).ids or ()) == 1:
        (by_text,) = engine.generate([Request("Add b11 c22.", 40, seed=3, stop=(third,))])
        assert by_text.written.ids == free.written.ids[: first + 1]


def test_a_stop_text_of_several_tokens(engine: TransformersEngine) -> None:
    (free,) = engine.generate([Request("Add b11 c22.", 40, seed=4)])
    text = free.written.text
    pair = text[5:8]
    (stopped,) = engine.generate([Request("Add b11 c22.", 40, seed=4, stop=(pair,))])
    assert stopped.finish == "stop"
    assert pair in stopped.written.text
    assert pair not in stopped.kept.text
    assert text.startswith(stopped.kept.text)


def test_an_end_of_response_is_noticed(engine: TransformersEngine) -> None:
    assert engine.marks is not None
    engine.rows = 200
    found = [one for one in engine.generate(requests(200, max_tokens=60)) if one.finish == "end"]
    engine.rows = 8
    assert found, "a random model ends now and then"
    for one in found:
        assert one.written.ids is not None
        assert one.written.ids[-1] in engine.marks.eos
        assert not any(token in engine.marks.eos for token in one.written.ids[:-1])
        assert one.kept.ids == one.written.ids[:-1]


def test_what_does_not_fit_the_context_is_refused(engine: TransformersEngine) -> None:
    with pytest.raises(EngineError, match="context of 512 tokens"):
        engine.generate([Request("Add b11.", 600, seed=0)])


def test_shared_traces_equal_single_runs_and_cost_less(engine: TransformersEngine) -> None:
    asked = [
        replace(one, max_tokens=limit, stop=stop)
        for one in requests(4)
        for limit, stop in ((40, ()), (10, ("7",)), (20, ("7",)), (5, ()))
    ]
    shared = CachingEngine(engine)
    found = shared.generate(asked)
    single = engine.generate(asked)
    assert [one.written for one in found] == [one.written for one in single]
    assert [(one.kept, one.finish) for one in found] == [(one.kept, one.finish) for one in single]
    assert shared.asked == sum(one.tokens or 0 for one in single)
    assert shared.generated == sum(one.tokens or 0 for one in found[::4])
    before = shared.generated
    goes_on = [replace(a, prefix=b.written, max_tokens=3) for a, b in zip(asked[1::4], found[1::4], strict=True)]
    alive = [one for one, b in zip(goes_on, found[1::4], strict=True) if b.finish != "end"]
    assert [one.written for one in shared.generate(alive)] == [one.written for one in engine.generate(alive)]
    assert shared.generated == before


def test_long_prompts_are_read_in_smaller_batches(engine: TransformersEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = engine.generate(requests(9))
    monkeypatch.setattr("lcpo.engines.transformers.AREA", 2 * 60**2)
    assert engine.generate(requests(9)) == whole


def test_first_tokens_follow_the_models_distribution(engine: TransformersEngine) -> None:
    count = 4000
    engine.rows = 1000
    found = engine.generate([Request("Add b11 c22.", 1, seed=seed) for seed in range(count)])
    engine.rows = 8
    drawn = np.bincount([(one.written.ids or (0,))[0] for one in found], minlength=engine.model.config.vocab_size)
    with torch.inference_mode():
        logits = engine.model(torch.tensor([engine.prompt_ids(Request("Add b11 c22.", 1, seed=0))])).logits[0, -1]
    expected = torch.softmax(logits, -1).double().numpy() * count
    chi_square = float(((drawn - expected) ** 2 / expected).sum())
    freedom = len(expected) - 1
    assert abs(chi_square - freedom) < 5 * (2 * freedom) ** 0.5


def test_uniform_numbers_are_uniform_and_a_function_of_seed_and_position() -> None:
    seeds = np.arange(20_000, dtype=np.uint64)
    numbers = uniforms(seeds, np.zeros(20_000, dtype=np.uint64))
    assert numbers.min() >= 0 and numbers.max() < 1
    assert np.abs(np.histogram(numbers, 10, (0, 1))[0] / 20_000 - 0.1).max() < 0.01
    later = uniforms(np.full(20_000, 7, dtype=np.uint64), seeds)
    assert abs(np.corrcoef(numbers, later)[0, 1]) < 0.03
    assert abs(np.corrcoef(later[1:], later[:-1])[0, 1]) < 0.03
    assert uniforms(seeds[5:6], seeds[:1])[0] == numbers[5]


def test_choosing_follows_the_distribution() -> None:
    logits = torch.log(torch.tensor([[0.1, 0.2, 0.3, 0.4]])).repeat(10_000, 1)
    uniform = (torch.arange(10_000) + 0.5).double() / 10_000
    ones = torch.ones(10_000)
    counts = choose(logits, uniform, ones, ones).bincount(minlength=4)
    assert (counts - torch.tensor([1000, 2000, 3000, 4000])).abs().max() <= 2
    counts = choose(logits, uniform, ones, 0.6 * ones).bincount(minlength=4)
    assert counts[:2].tolist() == [0, 0]
    assert abs(counts[2] / counts[3] - 0.75) < 0.01
    counts = choose(logits, uniform, 0.5 * ones, ones).bincount(minlength=4)
    assert (counts / 10_000 - torch.tensor([0.01, 0.04, 0.09, 0.16]) / 0.3).abs().max() < 0.001
    assert choose(logits[:2], uniform[:2], torch.tensor([0.0, 1.0]), ones[:2]).tolist() == [3, 0]


def test_how_a_template_writes_thoughts_is_read_from_it() -> None:
    fast = tokenizer()
    assert format_of(fast).empty == "<think></think>"
    template = fast.chat_template
    fast.chat_template = template.replace("assistant\\n' }}", "assistant\\n<think>\\n' }}")
    assert format_of(fast).opened
    assert format_of(fast).close == ON_LINES.close
    fast.chat_template = template + "{# <think>\\n\\n</think>\\n\\n #}"
    assert format_of(fast) == ON_LINES
