"""The engine of this process on a tiny random model: seeds, limits, stops, joining, greedy decoding, to the letter."""

import asyncio
import gc
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import psutil
import pytest
import torch
from transformers import AutoModelForCausalLM

from lcpo.engines.base import ON_LINES, Generation, Request, Segment, run_async, user
from lcpo.engines.batch import READ
from lcpo.engines.formats import format_of
from lcpo.engines.local import LocalEngine
from lcpo.engines.sampling import Sampling, choose, uniforms
from lcpo.errors import EngineError
from lcpo.evaluate.caching import CachingEngine
from sums_model import configuration, tokenizer


@pytest.fixture(scope="module")
def engine() -> Iterator[LocalEngine]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(configuration(layers=2, width=48, heads=2, head=24))
    for parameter in model.parameters():
        parameter.data *= 1.5  # a less even distribution
    yield LocalEngine(model, tokenizer(), "random", rows=8)
    torch.set_num_threads(threads)


def requests(count: int, **changes: object) -> list[Request]:
    made = [Request(user(f"Add b{10 + i} c{i:02d}." + " d17" * (i % 3)), 30, seed=i) for i in range(count)]
    return [replace(one, **changes) for one in made]  # type: ignore[arg-type]


def test_a_sample_depends_on_its_own_request_alone(engine: LocalEngine) -> None:
    together = engine.generate(requests(20))
    alone = [engine.generate([one])[0] for one in requests(20)]
    assert together == alone
    assert len({one.written.ids for one in together}) > 15


def test_equal_prompts_with_other_seeds_differ(engine: LocalEngine) -> None:
    found = engine.generate([Request(user("Add b11 c22."), 20, seed=seed) for seed in range(10)])
    assert len({one.written.ids for one in found}) == 10


def test_a_smaller_limit_is_a_prefix(engine: LocalEngine) -> None:
    for long, short in zip(engine.generate(requests(6)), engine.generate(requests(6, max_tokens=7)), strict=True):
        assert long.written.ids is not None
        assert short.written.ids == long.written.ids[:7]


def test_going_on_from_ones_own_prefix_is_the_same_response(engine: LocalEngine) -> None:
    (whole,) = engine.generate(requests(1))
    assert whole.written.ids is not None
    head = Segment(whole.written.ids[:11], "")
    (rest,) = engine.generate([replace(requests(1)[0], prefix=head, max_tokens=19)])
    assert head.ids + (rest.written.ids or ()) == whole.written.ids  # type: ignore[operator]


def test_greedy_equals_transformers_generate(engine: LocalEngine) -> None:
    asked = requests(5, temperature=0.0, max_tokens=25)
    for request, found in zip(asked, engine.generate(asked), strict=True):
        prompt = torch.tensor([list(engine.prompt_ids(request))])
        out = engine.model.generate(
            prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=25, do_sample=False, temperature=None
        )
        assert tuple(out[0, prompt.shape[1] :].tolist()) == found.written.ids


def test_limits_stops_and_ends(engine: LocalEngine) -> None:
    (free,) = engine.generate([Request(user("Add b11 c22."), 40, seed=3)])
    assert free.written.ids is not None
    third = engine.decode([free.written.ids[2]])
    first = free.written.ids.index(free.written.ids[2])
    (stopped,) = engine.generate([Request(user("Add b11 c22."), 40, seed=3, stop_ids=(free.written.ids[2],))])
    assert (stopped.finish, stopped.tokens) == ("stop", first + 1)
    assert stopped.kept.ids == free.written.ids[:first]
    (kept_going,) = engine.generate(
        [Request(user("Add b11 c22."), 40, seed=3, stop_ids=(free.written.ids[0],), min_tokens=1)]
    )
    assert kept_going.written.ids is not None
    assert kept_going.written.ids[0] != free.written.ids[0]
    if len(engine.encode(third).ids or ()) == 1:
        (by_text,) = engine.generate([Request(user("Add b11 c22."), 40, seed=3, stop=(third,))])
        assert by_text.written.ids == free.written.ids[: first + 1]


def test_a_stop_text_of_several_tokens(engine: LocalEngine) -> None:
    (free,) = engine.generate([Request(user("Add b11 c22."), 40, seed=4)])
    text = free.written.text
    pair = text[5:8]
    (stopped,) = engine.generate([Request(user("Add b11 c22."), 40, seed=4, stop=(pair,))])
    assert stopped.finish == "stop"
    assert pair in stopped.written.text
    assert pair not in stopped.kept.text
    assert text.startswith(stopped.kept.text)


def test_an_end_of_response_is_noticed(engine: LocalEngine) -> None:
    assert engine.marks is not None
    engine.batch.limit = 200
    found = [one for one in engine.generate(requests(200, max_tokens=60)) if one.finish == "end"]
    engine.batch.limit = 8
    assert found, "a random model ends now and then"
    for one in found:
        assert one.written.ids is not None
        assert one.written.ids[-1] in engine.marks.eos
        assert not any(token in engine.marks.eos for token in one.written.ids[:-1])
        assert one.kept.ids == one.written.ids[:-1]


def test_what_does_not_fit_the_context_is_refused(engine: LocalEngine) -> None:
    with pytest.raises(EngineError, match="context of 512 tokens"):
        engine.generate([Request(user("Add b11."), 600, seed=0)])


def test_shared_traces_equal_single_runs_and_cost_less(engine: LocalEngine) -> None:
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


def test_long_prompts_are_read_in_smaller_batches(engine: LocalEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = engine.generate(requests(9))
    monkeypatch.setitem(READ, "cpu", 60)
    assert engine.generate(requests(9)) == whole


def test_first_tokens_follow_the_models_distribution(engine: LocalEngine) -> None:
    count = 4000
    engine.batch.limit = 1000
    found = engine.generate([Request(user("Add b11 c22."), 1, seed=seed) for seed in range(count)])
    engine.batch.limit = 8
    drawn = np.bincount([(one.written.ids or (0,))[0] for one in found], minlength=engine.model.config.vocab_size)
    with torch.inference_mode():
        logits = engine.model(torch.tensor([list(engine.prompt_ids(Request(user("Add b11 c22."), 1, seed=0)))])).logits[
            0, -1
        ]
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

    def counts(**how: float) -> torch.Tensor:
        columns = {"temperature": 1.0} | how
        return choose(logits, uniform, Sampling(**{k: torch.full((10_000,), v) for k, v in columns.items()})).bincount(
            minlength=4
        )

    assert (counts() - torch.tensor([1000, 2000, 3000, 4000])).abs().max() <= 2
    nucleus = counts(top_p=0.6)
    assert nucleus[:2].tolist() == [0, 0]
    assert abs(nucleus[2] / nucleus[3] - 0.75) < 0.01
    assert counts(top_k=1).tolist() == [0, 0, 0, 10_000]
    assert counts(min_p=0.7).tolist()[:2] == [0, 0]
    assert (counts(temperature=0.5) / 10_000 - torch.tensor([0.01, 0.04, 0.09, 0.16]) / 0.3).abs().max() < 0.001
    one = np.ones(2, dtype=np.float32)
    greedy = Sampling.of(np.array([0.0, 1.0], np.float32), one, np.zeros(2, np.int64), 0 * one, torch.device("cpu"))
    assert choose(logits[:2], uniform[:2], greedy).tolist() == [3, 0]


def test_how_a_template_writes_thoughts_is_read_from_it() -> None:
    fast = tokenizer()
    assert format_of(fast).empty == "<think></think>"
    template = fast.chat_template
    fast.chat_template = template.replace("assistant\\n' }}", "assistant\\n<think>\\n' }}")
    assert format_of(fast).opened
    assert format_of(fast).close == ON_LINES.close
    fast.chat_template = template + "{# <think>\\n\\n</think>\\n\\n #}"
    assert format_of(fast) == ON_LINES


def test_one_that_joins_gets_what_it_would_get_alone(engine: LocalEngine) -> None:
    asked = requests(12)
    alone = engine.generate(asked)

    async def stream(i: int) -> tuple[list[int], str, Generation | None]:
        await asyncio.sleep(0.01 * i)  # each joins while others run
        ids, text, last = list[int](), "", None
        async for delta in engine.stream(asked[i]):
            ids += delta.ids or ()
            text, last = text + delta.text, delta.generation
        return ids, text, last

    async def every() -> list[tuple[list[int], str, Generation | None]]:
        return await asyncio.gather(*(stream(i) for i in range(12)))

    for (ids, text, last), generation in zip(run_async(every()), alone, strict=True):
        assert last == generation
        assert (tuple(ids), text) == (generation.written.ids, generation.kept.text)


def test_one_that_is_cancelled_frees_its_row(engine: LocalEngine) -> None:
    async def leave() -> None:
        streams = [engine.stream(replace(request, max_tokens=400, min_tokens=400)) for request in requests(8)]
        for stream in streams:
            await anext(stream)
        assert len(engine.batch.rows) == 8
        for stream in streams[2:]:
            await stream.aclose()
        await anext(streams[0])
        await anext(streams[0])
        assert len([row for row in engine.batch.rows if not row.done]) == 2
        for stream in streams[:2]:
            await stream.aclose()
        while engine.batch.busy:
            await asyncio.sleep(0.01)

    run_async(leave())
    assert engine.generate(requests(3)) == engine.generate(requests(8))[:3]


def test_what_goes_wrong_reaches_those_who_wait(engine: LocalEngine) -> None:
    def broken(ids: Sequence[int], logits: Any) -> Any:
        raise ValueError("broken processor")

    async def ask() -> None:
        async for _ in engine.stream(replace(requests(1)[0], processors=(broken,))):
            pass

    with pytest.raises(ValueError, match="broken processor"):
        run_async(ask())
    assert engine.generate(requests(1))[0].tokens


def test_after_an_interruption_the_next_call_begins_anew(engine: LocalEngine) -> None:
    def interrupts(ids: Sequence[int], logits: Any) -> Any:
        raise KeyboardInterrupt

    before = engine.generate(requests(3))
    alone = LocalEngine(engine.model, engine.tokenizer, rows=8)
    with pytest.raises(KeyboardInterrupt):
        alone.generate([replace(request, processors=(interrupts,)) for request in requests(20)])
    assert not alone.batch.busy
    assert alone.generate(requests(3)) == before


@pytest.mark.slow
def test_many_short_requests_keep_memory_flat(engine: LocalEngine) -> None:
    def used() -> int:
        gc.collect()
        return psutil.Process().memory_info().rss

    short = [Request(user(f"Add b{i % 90 + 10} c{i % 89 + 10}."), 2, seed=i) for i in range(10_000)]
    engine.batch.limit = 400
    engine.generate(short[:2000])
    before = used()
    engine.generate(short)
    engine.batch.limit = 8
    assert used() - before < 60e6


@pytest.mark.parametrize("tokens", [None, {"embed_tokens": [3, 4]}])
def test_a_model_with_an_adapter_generates_from_merged_weights(tokens: dict[str, list[int]] | None) -> None:
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(0)
    base = AutoModelForCausalLM.from_config(configuration(layers=2, width=48, heads=2, head=24))
    settings = LoraConfig(task_type="CAUSAL_LM", target_modules="all-linear", r=4, trainable_token_indices=tokens)
    live = get_peft_model(base, settings)
    for parameter in live.parameters():
        if parameter.requires_grad:
            parameter.data += 0.02 * torch.randn_like(parameter)
    adapted = LocalEngine(live, tokenizer())
    ids = torch.randint(5, 300, (2, 17))
    assert torch.allclose(live.eval()(ids).logits, adapted.model(ids).logits, atol=1e-3)
    for parameter in live.parameters():
        parameter.data *= 0.5
    adapted.generate([Request(user("Add b11."), 3, seed=0)])
    assert torch.allclose(live(ids).logits, adapted.model(ids).logits, atol=1e-3)
