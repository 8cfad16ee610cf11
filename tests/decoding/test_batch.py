"""Laws of the batch, on tiny random models: whatever runs beside it, a generation is what it is alone."""

import logging

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rose_guard import DecodingError, EngineOverloadedError, RoseSettings, SettingsError
from rose_guard.decoding.batch import Batch
from rose_guard.decoding.batch_settings import BatchSettings
from rose_guard.decoding.branch import Prompt
from rose_guard.decoding.chooser import _Penalties
from rose_guard.decoding.generation import DecodingOptions, Generation
from rose_guard.decoding.loop import decode, rose_generate
from rose_guard.decoding.packed_runner import PackedRunner
from rose_guard.decoding.runner import runner_for
from rose_guard.decoding.serial_runner import SerialRunner
from tests.tiny import small_gemma, small_mistral, small_qwen, tiny_model

VOCABULARY = 64
ids = st.lists(st.integers(0, VOCABULARY - 3), min_size=1, max_size=30)


@pytest.fixture(scope="module")
def llama():
    return tiny_model(VOCABULARY, context=256)


def batch_for(model, runner=None, **limits):
    return Batch(runner or PackedRunner(model), model.device, model.dtype, BatchSettings(**limits))


def generation_for(model, positive, reverse=(), *, shared=0, n=12, weights=None, **options):
    options.setdefault("settings", RoseSettings(alpha=0.5 if reverse else 0.0))
    return Generation(
        model,
        Prompt(tuple(positive), shared),
        [Prompt(tuple(r), shared) for r in reverse],
        weights=weights,
        options=DecodingOptions(max_new_tokens=n, **options),
    )


def run(batch, generations=(), late=()):
    """Steps of each generation; those of ``late`` join one after the other, some steps later."""
    late, steps, errors = list(late), {}, {}
    for generation in generations:
        batch.add(generation)
    while batch.busy or late:
        if late:
            batch.add(late.pop(0))
        for _ in range(2):
            for progress in batch.step():
                steps.setdefault(progress.generation, []).extend(progress.steps)
                if progress.error:
                    errors[progress.generation] = progress.error
    return steps, errors


def tokens(steps):
    return [step.token_id for step in steps]


def alone(model, positive, reverse=(), *, n=12, settings=None, **options):
    settings = settings or RoseSettings(alpha=0.5 if reverse else 0.0)
    return tokens(decode(model, positive, reverse, settings=settings, max_new_tokens=n, **options))


requests = st.lists(st.tuples(ids, st.lists(ids, max_size=2), st.sampled_from([1, 5, 12])), min_size=1, max_size=5)


@settings(max_examples=25, deadline=None)
@given(asked=requests)
def test_batched_is_single_and_joined_late_is_alone(llama, asked):
    expected = [alone(llama, positive, reverse, n=n) for positive, reverse, n in asked]
    for together in (True, False):
        made = [generation_for(llama, positive, reverse, n=n) for positive, reverse, n in asked]
        steps, errors = run(batch_for(llama, prefill_tokens=16), made if together else (), () if together else made)
        assert not errors
        assert [tokens(steps[generation]) for generation in made] == expected


@settings(max_examples=25, deadline=None)
@given(asked=requests, seed=st.integers(0, 1000), temperature=st.sampled_from([0.0, 0.3, 1.0]))
def test_speculation_changes_no_token_greedy_or_sampled(llama, asked, seed, temperature):
    def answers(longest):
        made = [
            generation_for(
                llama,
                positive * 3,
                reverse,
                settings=RoseSettings(alpha=0.5 if reverse else 0, seed=seed, temperature=temperature),
                n=20,
            )
            for positive, reverse, _ in asked
        ]
        steps, _ = run(batch_for(llama, prompt_lookup_num_tokens=longest), made)
        return [tokens(steps[generation]) for generation in made]

    assert answers(8) == answers(0)


def test_drafts_are_made_and_accepted_where_an_answer_repeats_itself(llama):
    generation = generation_for(
        llama, [5, 6, 7], settings=RoseSettings(alpha=0, temperature=0, logit_bias={9: 60}), n=40
    )
    batch = batch_for(llama)
    steps, _ = run(batch, [generation])
    assert tokens(steps[generation]) == [9] * 40
    assert generation.counts.accepted_tokens > 20
    assert batch.clock.steps < 20


@settings(max_examples=25, deadline=None)
@given(head=st.lists(st.integers(0, 61), min_size=8, max_size=20), tails=st.lists(ids, min_size=2, max_size=4))
def test_a_cached_prefix_gives_what_a_cold_one_does(llama, head, tails):
    batch = batch_for(llama)
    for tail in tails:
        generation = generation_for(llama, head + tail, [head + tail[::-1]], shared=len(head))
        steps, _ = run(batch, [generation])
        assert tokens(steps[generation]) == alone(llama, head + tail, [head + tail[::-1]])
        assert generation.counts.cached_tokens >= len(head)
    stats = batch.prefixes.stats
    assert stats.entries == 1
    assert stats.hits == 2 * len(tails)


def test_a_conversation_finds_its_own_earlier_turns_and_nobody_elses(llama):
    batch = batch_for(llama)
    first = list(range(20))
    steps, _ = run(batch, [generation_for(llama, first, [first[::-1]], owner="ann")])
    (answer,) = (tokens(s) for s in steps.values())
    second = [*first, *answer[:-1], 30, 31]
    for owner, known in (("bob", False), (None, False), ("ann", True)):
        generation = generation_for(llama, second, [[1, 2, 3]], owner=owner)
        steps, _ = run(batch, [generation])
        assert (generation.counts.cached_tokens > 0) == known
        assert tokens(steps[generation]) == alone(llama, second, [[1, 2, 3]])


def test_without_an_owner_nothing_of_a_prompt_is_kept(llama):
    batch = batch_for(llama)
    run(batch, [generation_for(llama, list(range(30)), [list(range(1, 30))])])
    assert batch.prefixes.stats.entries == 0


def test_the_prefix_cache_keeps_within_its_bytes_and_drops_the_least_recently_used(llama):
    per_token = batch_for(llama).bytes_per_token
    batch = batch_for(llama, prefix_cache_bytes=25 * per_token)
    heads = [[n] * 10 for n in (1, 2, 3)]
    for head in (heads[0], heads[1], heads[0], heads[2]):
        run(batch, [generation_for(llama, [*head, 4, 5], shared=10)])
    assert batch.prefixes.stats.evictions == 1
    assert batch.prefixes.stats.nbytes <= 25 * per_token
    assert batch.prefixes.holds(heads[0], None)
    assert not batch.prefixes.holds(heads[1], None)


def test_more_answers_to_one_prompt_are_those_of_their_seeds(llama):
    def sampled(seed):
        return RoseSettings(alpha=0.4, temperature=1.0, seed=seed)

    made = [generation_for(llama, [1, 2, 3], [[4, 5]], settings=sampled(seed)) for seed in (7, 8, 9)]
    made[0].followers = made[1:]
    batch = batch_for(llama)
    steps, _ = run(batch, [made[0]])
    for generation, seed in zip(made, (7, 8, 9), strict=True):
        assert tokens(steps[generation]) == alone(llama, [1, 2, 3], [[4, 5]], settings=sampled(seed))
    assert not batch._runner._cache._pools


@pytest.mark.parametrize("make", [small_mistral, small_qwen, small_gemma])
def test_other_architectures_are_packed_and_exact(make):
    model = make(VOCABULARY)
    runner = runner_for(model)
    assert runner.packs
    asked = [([5, 6, 7, 8, 9, 10, 11, 12, 13], [[20, 21, 22]]), ([3], []), (list(range(40)), [list(range(30))])]
    made = [generation_for(model, positive, reverse) for positive, reverse in asked]
    steps, _ = run(batch_for(model, runner, prefill_tokens=7), made)
    assert [tokens(steps[g]) for g in made] == [alone(model, *a) for a in asked]


def test_a_model_whose_packed_logits_differ_is_decoded_one_by_one_and_says_so(caplog):
    model = tiny_model(VOCABULARY)
    model.config.rope_parameters = {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 1e4}
    with caplog.at_level(logging.WARNING):
        runner = runner_for(model)
    assert not runner.packs
    assert "position encoding" in caplog.text
    generation = generation_for(model, [1, 2], [[3]])
    steps, _ = run(batch_for(model, runner), [generation])
    assert len(steps[generation]) == len(alone(model, [1, 2], [[3]]))


def test_the_probe_notices_attention_that_ignores_the_rows(monkeypatch):
    from rose_guard.decoding import attention

    model = tiny_model(VOCABULARY)
    monkeypatch.setattr(
        attention, "_attend_block", lambda block, _, query, *__: query[0, :, block.tokens].transpose(0, 1)
    )
    assert isinstance(runner_for(model), SerialRunner)


def test_the_users_model_stays_as_it_is(llama):
    before = (llama.config._attn_implementation, {type(module) for module in llama.modules()})
    PackedRunner(llama)
    assert (llama.config._attn_implementation, {type(module) for module in llama.modules()}) == before


def test_a_horizon_ends_the_contrast_and_frees_the_reverse_branch(llama):
    generation = generation_for(llama, [1, 2], [[3]], settings=RoseSettings(alpha=0.5, horizon=3), n=10)
    batch = batch_for(llama, prompt_lookup_num_tokens=0)
    batch.add(generation)
    rows = []
    contrasted = []
    while batch.busy:
        for progress in batch.step():
            contrasted += [step.contrasted for step in progress.steps]
        rows.append(sum(len(pool.rows) for pool in batch._runner._cache._pools.values()))
    assert contrasted == [True] * 3 + [False] * (len(contrasted) - 3)
    assert rows[1] == 2
    assert set(rows[3:-1]) <= {1}
    assert rows[-1] == 0


def test_a_cancelled_generation_leaves_before_the_next_step(llama):
    staying, leaving = generation_for(llama, [1, 2], [[3]], n=12), generation_for(llama, [4], [[5]], n=12)
    batch = batch_for(llama)
    batch.add(staying)
    batch.add(leaving)
    batch.step()
    leaving.cancelled = True
    given = [progress.generation for progress in batch.step()]
    assert given == [staying]
    assert batch.running == 1
    run(batch)
    assert len(staying.generated) == len(alone(llama, [1, 2], [[3]]))
    assert not batch._runner._cache._pools


def test_a_full_queue_refuses_and_what_waits_is_answered_in_order(llama):
    batch = batch_for(llama, max_branches=2, max_queue=2)
    made = [generation_for(llama, [n], [[n + 1]], n=4) for n in range(4)]
    batch.add(made[0])
    batch.step()
    batch.add(made[1])
    batch.add(made[2])
    with pytest.raises(EngineOverloadedError, match="wait already"):
        batch.add(made[3])
    assert (batch.running, batch.waiting) == (1, 2)
    answered = []
    while batch.busy:
        answered += [progress.generation for progress in batch.step()]
    assert [generation for generation in dict.fromkeys(answered) if generation is not made[0]] == made[1:3]


def test_a_generation_starts_only_when_all_its_branches_fit_to_their_last_token(llama):
    per_token = batch_for(llama).bytes_per_token
    batch = batch_for(llama, kv_cache_bytes=600 * per_token)  # two rows of 256 tokens, the smallest there are
    first, second = (generation_for(llama, [1] * 10, [[2] * 10], n=20) for _ in range(2))
    batch.add(first)
    batch.add(second)
    batch.step()
    assert (batch.running, batch.waiting) == (1, 1)
    with pytest.raises(EngineOverloadedError, match="alone needs"):
        batch.check(generation_for(llama, [1] * 10, [[2] * 10, [3]], n=20))
    steps, _ = run(batch)
    assert second in steps


class Spoilt(torch.nn.Module):
    """A head that spoils the logits of one row of the step, from some step on."""

    def __init__(self, head, spoil, *, row, after):
        super().__init__()
        self.head, self.spoil, self.row, self.after, self.calls = head, spoil, row, after, 0

    def forward(self, hidden):
        logits = self.head(hidden)
        self.calls += 1
        if self.calls <= self.after:
            return logits
        spoilt = logits.clone()
        self.spoil(spoilt[0], self.row)
        return spoilt


def nan(logits, row):
    logits[row] = float("nan")


def one_infinity(logits, row):
    logits[row, 3] = float("inf")


def one_minus_infinity(logits, row):
    logits[row, 3] = -float("inf")


def no_memory(logits, row):
    raise torch.OutOfMemoryError("no memory left")


def spoilt_batch(spoil, *, row, after):
    """Two steered generations; rows 0 and 1 are the first one's branches."""
    model = tiny_model(VOCABULARY)
    runner = PackedRunner(model)
    runner._model.lm_head = Spoilt(runner._model.lm_head, spoil, row=row, after=after)
    made = [generation_for(model, [1, 2], [[3]], n=8), generation_for(model, [4, 5], [[6]], n=8)]
    return made, run(batch_for(model, runner, prompt_lookup_num_tokens=0), made)


@pytest.mark.parametrize("after", [0, 1, 4])
@pytest.mark.parametrize("row", [0, 1])
@pytest.mark.parametrize("spoil", [nan, one_infinity, one_minus_infinity])
def test_a_branch_that_fails_ends_its_generation_and_no_other(spoil, row, after):
    sound, _ = spoilt_batch(spoil, row=row, after=99)
    made, (steps, errors) = spoilt_batch(spoil, row=row, after=after)
    assert isinstance(errors[made[0]], DecodingError)
    assert tokens(steps.get(made[0], [])) == sound[0].generated[:after]
    assert all(step.contrasted for step in steps.get(made[0], []))


@pytest.mark.parametrize("after", [0, 3])
def test_a_step_that_fails_ends_all_that_took_part_in_it(after):
    made, (steps, errors) = spoilt_batch(no_memory, row=0, after=after)
    assert set(errors) == set(made)
    assert all("kv_cache_bytes" in str(error) for error in errors.values())
    assert all(len(steps.get(generation, [])) == after for generation in made)


def test_what_a_failed_generation_left_in_the_cache_reaches_nobody(llama):
    """A NaN in a freed slot would otherwise meet a weight of 0 in somebody else's attention."""
    batch = batch_for(llama)
    broken, sound = generation_for(llama, list(range(40)), n=4), generation_for(llama, [7, 8], n=60)
    batch.add(broken)
    batch.add(sound)
    batch.step()
    (pool,) = batch._runner._cache._pools.values()
    with torch.inference_mode():
        for tensor in (*pool.keys, *pool.values):
            tensor[broken.positive.row.slot, :40] = float("nan")
    after = [generation_for(llama, [1, 2, 3], [[4] * 20]), generation_for(llama, [5])]
    steps, errors = run(batch, late=after)
    assert set(errors) == {broken}
    assert tokens(steps[after[0]]) == alone(llama, [1, 2, 3], [[4] * 20])


class Panic(BaseException):
    """What a library written in another language may raise."""


@pytest.mark.parametrize("error", [KeyError, Panic])
def test_a_grammar_that_fails_ends_its_own_answer_only(llama, error):
    def fail(generated):
        raise error("no such rule")

    broken, sound = generation_for(llama, [1, 2], [[3]], mask=fail), generation_for(llama, [4], [[5]])
    steps, errors = run(batch_for(llama), [broken, sound])
    assert set(errors) == {broken}
    assert error.__name__ in str(errors[broken])
    assert tokens(steps[sound]) == alone(llama, [4], [[5]])


def only(*allowed):
    """A grammar that admits the same few tokens everywhere."""
    mask = torch.zeros(VOCABULARY, dtype=torch.bool)
    mask[list(allowed)] = True
    return lambda _: mask


@pytest.mark.parametrize("beta", [0.0, 0.9, 1.0])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_grammar_composes_with_contrast_and_plausibility(llama, beta, temperature):
    """Beta's maximum is taken over what the grammar admits, so a token is always left."""
    settings = RoseSettings(alpha=0.7, beta=beta, temperature=temperature, top_p=0.5, seed=1)
    generation = generation_for(llama, [1, 2], [[3]], settings=settings, mask=only(10, 11, 12))
    steps, errors = run(batch_for(llama), [generation])
    assert not errors
    assert set(tokens(steps[generation])) <= {10, 11, 12}
    assert tokens(steps[generation]) == alone(llama, [1, 2], [[3]], settings=settings, mask=only(10, 11, 12))


def test_a_grammar_is_asked_once_for_each_token_in_order_drafts_or_not(llama):
    asked = []

    def alternate(generated):
        asked.append(tuple(generated))
        return only(10 + len(generated) % 2)(generated)

    generation = generation_for(llama, [1, 2], [[3]], mask=alternate, n=12)
    steps, _ = run(batch_for(llama), [generation])
    assert tokens(steps[generation]) == [10, 11] * 6
    assert asked == [tuple([10, 11] * 6)[:n] for n in range(12)]


def test_a_grammar_that_admits_nothing_is_an_error(llama):
    generation = generation_for(llama, [1, 2], [[3]], mask=only())
    _, errors = run(batch_for(llama), [generation])
    assert "no token is left" in str(errors[generation])


def test_log_probabilities_are_those_of_the_contrasted_scores(llama):
    from rose_guard.decoding.contrast import contrast

    positive, reverse = [1, 2, 3], [4, 5]
    first = next(
        iter(decode(llama, positive, [reverse], settings=RoseSettings(alpha=0.5), max_new_tokens=1, logprobs=3))
    )
    with torch.inference_mode():
        logits = [llama(input_ids=torch.tensor([ids])).logits[0, -1] for ids in (positive, reverse)]
    expected = contrast(logits[0], [logits[1]], [0.5]).log_softmax(dim=-1)
    assert first.logprob == pytest.approx(expected[first.token_id].item(), abs=1e-4)
    assert [token for token, _ in first.top_logprobs] == expected.topk(3).indices.tolist()


def test_impossible_tokens_have_no_log_probability(llama):
    settings = RoseSettings(alpha=0.5, temperature=0.0)
    steps = decode(llama, [1, 2], [[3]], settings=settings, max_new_tokens=4, mask=only(10, 11), logprobs=5)
    assert all({token for token, _ in step.top_logprobs} == {10, 11} for step in steps)


def test_the_grammars_choice_is_not_called_the_contrasts(llama):
    steps = list(decode(llama, [1, 2], [[3]], settings=RoseSettings(alpha=0.5), max_new_tokens=6, mask=only(10)))
    assert all(step.contrasted and not step.changed for step in steps)


def counted(model, **penalties):
    return tokens(decode(model, [1, 2], [], settings=RoseSettings(alpha=0, **penalties), max_new_tokens=20))


def test_presence_is_counted_once_and_frequency_each_time_over_the_answer_alone():
    seen, scores = torch.tensor([[5, 5, 7, 9, 9, 9]]), torch.zeros(1, VOCABULARY)  # 5, 5 is the prompt
    penalised = _Penalties(2, presence=0.5, frequency=0.25)(seen, scores)[0]
    assert {i: penalised[i].item() for i in penalised.nonzero().flatten().tolist()} == {7: -0.75, 9: -1.25}
    assert not scores.any()


def test_penalties_and_bias_act_as_their_formulas_say(llama):
    assert set(counted(llama, logit_bias={9: 100})) == {9}
    assert 9 not in counted(llama, logit_bias={9: -100})
    # 100 in favour of token 9, 2 less for each time it stood before: it cannot go on for ever against token 10.
    mixed = counted(llama, logit_bias={9: 99, 10: 97}, frequency_penalty=2.0)
    assert set(mixed) == {9, 10}
    assert abs(mixed.count(9) - mixed.count(10)) <= 12
    once = counted(llama, logit_bias={9: 60}, presence_penalty=2.0)
    assert set(once) == {9}


def test_repetition_penalty_is_transformers_own(llama):
    prompt = [7, 8, 9]
    output = llama.generate(
        torch.tensor([prompt]), attention_mask=torch.ones(1, 3), max_new_tokens=12, repetition_penalty=1.7
    )[0, 3:].tolist()
    ours = rose_generate(llama, prompt, [], settings=RoseSettings(alpha=0, repetition_penalty=1.7), max_new_tokens=12)
    eos = llama.generation_config.eos_token_id
    assert ours == (output[: output.index(eos)] if eos in output else output)


def test_a_bias_for_a_token_that_there_is_not_is_a_wrong_call(llama):
    with pytest.raises(SettingsError, match="64"):
        generation_for(llama, [1], settings=RoseSettings(alpha=0, logit_bias={64: 1.0}))
