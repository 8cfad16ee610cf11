"""Laws of likelihoods under the contrast, on tiny random models."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rose_guard import ContextLengthError, DecodingError, InputError, RoseSettings, SettingsError
from rose_guard.decoding import decode, likelihood, rose_generate
from rose_guard.decoding.contrast import contrast
from rose_guard.decoding.likelihood import contrasted_logprobs
from rose_guard.decoding.packed_runner import PackedRunner
from rose_guard.decoding.serial_runner import SerialRunner
from tests.tiny import small_gemma, small_mistral, small_qwen, tiny_model

VOCABULARY = 64
PLAIN = RoseSettings(alpha=0)
ids = st.lists(st.integers(0, VOCABULARY - 1), min_size=1, max_size=12)
several = st.lists(ids, min_size=1, max_size=4)
how = st.one_of(
    st.builds(
        RoseSettings,
        alpha=st.sampled_from([0.2, 0.5, 0.9]),
        beta=st.sampled_from([None, 0.0, 0.01]),
        normalised=st.sampled_from([None, False, True]),
        temperature=st.sampled_from([0.0, 1.0]),
    ),
    st.builds(
        RoseSettings,
        alpha=st.sampled_from([0.5, 0.9]),
        horizon=st.integers(1, 6),
        schedule=st.sampled_from(["constant", "linear", "cosine"]),
        normalised=st.booleans(),
        temperature=st.just(0.0),
    ),
)


@pytest.fixture(scope="module")
def llama():
    return tiny_model(VOCABULARY, context=64)


@pytest.fixture(scope="module")
def packed(llama):
    return PackedRunner(llama)


@torch.inference_mode()
def logits_of(model, prompt, continuation):
    """What one whole forward pass says of each of the continuation's places."""
    return model(input_ids=torch.tensor([[*prompt, *continuation]])).logits[0, len(prompt) - 1 : -1]


def close(found, expected):
    return [pytest.approx(logprobs, abs=2e-4, rel=1e-4) for logprobs in expected] == found


@settings(max_examples=20)
@given(prompt=ids, reverse=ids, continuations=several)
def test_at_alpha_zero_they_are_the_plain_log_softmax(llama, prompt, reverse, continuations):
    expected = [
        logits_of(llama, prompt, tokens).log_softmax(-1)[range(len(tokens)), tokens].tolist()
        for tokens in continuations
    ]
    assert close(contrasted_logprobs(llama, prompt, [reverse], continuations, settings=PLAIN), expected)
    assert close(contrasted_logprobs(llama, prompt, [], continuations, settings=PLAIN), expected)


@settings(max_examples=20)
@given(
    prompt=ids, reverse=ids, other=ids, continuations=several, alpha=st.sampled_from([0.3, 0.8]), whole=st.booleans()
)
def test_they_are_the_contrast_of_whole_forward_passes(llama, *, prompt, reverse, other, continuations, alpha, whole):
    expected = []
    for tokens in continuations:
        branches = [logits_of(llama, branch, tokens) for branch in (prompt, reverse, other)]
        scores = contrast(branches[0], branches[1:], [alpha * 0.75, alpha * 0.25], normalised=whole)
        expected.append(scores.log_softmax(-1)[range(len(tokens)), tokens].tolist())
    found = contrasted_logprobs(
        llama,
        prompt,
        [reverse, other],
        continuations,
        settings=RoseSettings(alpha=alpha, normalised=whole, temperature=0),
        weights=[3.0, 1.0],
    )
    assert close(found, expected)


@settings(max_examples=30)
@given(prompt=ids, reverse=ids, how=how)
def test_of_what_was_decoded_they_are_what_decoding_said(llama, prompt, reverse, how):
    steps = list(decode(llama, prompt, [reverse], settings=how, max_new_tokens=10, logprobs=0))
    tokens = [step.token_id for step in steps]
    found = contrasted_logprobs(llama, prompt, [reverse], [tokens], settings=how)
    assert close(found, [[step.logprob for step in steps]])


@pytest.mark.parametrize(
    "how",
    [
        RoseSettings(alpha=0.5, temperature=0),
        RoseSettings(alpha=0.9, beta=0.1, temperature=0),
        RoseSettings(alpha=0.9, horizon=2, schedule="linear", temperature=0),
    ],
    ids=["paper", "beta", "horizon"],
)
def test_a_greedy_answer_is_the_likeliest_at_every_step(llama, packed, how):
    prompt, reverse = [1, 2, 3], [4, 5]
    tokens = rose_generate(llama, prompt, [reverse], settings=how, max_new_tokens=5)
    assert tokens
    for step, chosen in enumerate(tokens):
        others = [[*tokens[:step], token] for token in range(VOCABULARY)]
        found = contrasted_logprobs(llama, prompt, [reverse], others, settings=how, runner=packed)
        assert max(range(VOCABULARY), key=lambda token: found[token][-1]) == chosen


@settings(max_examples=10)
@given(prompt=ids, reverse=ids, before=st.lists(st.integers(0, VOCABULARY - 1), max_size=4), how=how)
def test_at_every_place_they_are_a_distribution(llama, packed, *, prompt, reverse, before, how):
    continuations = [[*before, token] for token in range(VOCABULARY)]
    found = contrasted_logprobs(llama, prompt, [reverse], continuations, settings=how, runner=packed)
    assert math.fsum(math.exp(logprobs[-1]) for logprobs in found) == pytest.approx(1.0, abs=1e-4)


def test_what_beta_rules_out_has_no_likelihood_within_the_horizon_and_some_after(llama):
    how = RoseSettings(alpha=0.5, beta=1.0, horizon=2, temperature=0)
    likeliest = [int(logits_of(llama, [1, 2], [0]).argmax())]
    unlikely = (likeliest[0] + 1) % VOCABULARY
    (first, second, third) = contrasted_logprobs(llama, [1, 2], [[3]], [[unlikely] * 3], settings=how)[0]
    assert first == -math.inf
    assert second <= 0.0
    assert third > -math.inf


def test_beta_has_no_part_in_plain_decoding(llama):
    found = contrasted_logprobs(llama, [1, 2], [], [[5, 6, 7]], settings=PLAIN.updated(beta=1.0))
    assert close(found, contrasted_logprobs(llama, [1, 2], [], [[5, 6, 7]], settings=PLAIN))


@pytest.mark.parametrize("how", [RoseSettings(alpha=0.5), RoseSettings(alpha=0.9, horizon=7, schedule="linear")])
@pytest.mark.parametrize(("logits", "rows"), [(1, 1), (12, 1), (12, 2), (40, 8), (256, 2)])
def test_pieces_and_batches_change_nothing(llama, monkeypatch, how, logits, rows):
    prompt, reverse, continuations = [1, 2], [3], [list(range(12)), [9], list(range(20, 27)), [4, 5]]
    whole = contrasted_logprobs(llama, prompt, [reverse], continuations, settings=how)
    monkeypatch.setattr(likelihood, "_LOGITS_AT_ONCE", logits)
    monkeypatch.setattr(likelihood, "_CONTINUATIONS_AT_ONCE", rows)
    assert close(contrasted_logprobs(llama, prompt, [reverse], continuations, settings=how), whole)


@pytest.mark.parametrize("make", [tiny_model, small_mistral, small_qwen, small_gemma])
def test_packed_rows_say_the_same_for_every_architecture(make):
    model = make(VOCABULARY)
    how = RoseSettings(alpha=0.6, horizon=9, normalised=True, temperature=0)
    prompt, continuations = [5, 6, 7, 8, 9, 10, 11, 12, 13], [list(range(20)), [1], [2, 3, 4]]
    alone = contrasted_logprobs(model, prompt, [[20], [21, 22]], continuations, settings=how)
    together = contrasted_logprobs(
        model, prompt, [[20], [21, 22]], continuations, settings=how, runner=PackedRunner(model)
    )
    assert close(together, alone)
    expected = logits_of(model, prompt, list(range(20))).log_softmax(-1)
    assert alone[0][9:] == pytest.approx([float(expected[i, i]) for i in range(9, 20)], abs=2e-4)


class Counting(SerialRunner):
    """Counts rows that are open, tokens that are read, and the most logits at once; may fail at some read."""

    def __init__(self, model, *, fails_at=None):
        super().__init__(model)
        self.opened = self.reads = self.tokens = self.most = 0
        self._fails_at = fails_at

    def open(self, tokens):
        self.opened += 1
        return super().open(tokens)

    def close(self, row):
        self.opened -= 1
        super().close(row)

    def read(self, reads):
        self.reads += 1
        if self.reads == self._fails_at:
            raise DecodingError("the forward pass failed")
        self.tokens += sum(len(tokens) for _, tokens, _ in reads)
        self.most = max(self.most, sum(wanted for _, _, wanted in reads))
        return super().read(reads)


@pytest.mark.parametrize(("horizon", "of_the_reverse_branch"), [(None, 10), (3, 3), (1, 1)])
def test_past_the_horizon_only_the_positive_branch_reads(llama, horizon, of_the_reverse_branch):
    runner = Counting(llama)
    how = RoseSettings(alpha=0.5, horizon=horizon)
    contrasted_logprobs(llama, [1, 2, 3], [[4, 5]], [list(range(10))], settings=how, runner=runner)
    assert runner.tokens == (2 + 1) + 10 + of_the_reverse_branch


def test_prompts_are_read_once_and_few_logits_are_held(llama, monkeypatch):
    monkeypatch.setattr(likelihood, "_LOGITS_AT_ONCE", 32)
    runner = Counting(llama)
    prompt, continuations = list(range(20)), [list(range(9))] * 20
    contrasted_logprobs(llama, prompt, [[4, 5]], continuations, settings=RoseSettings(alpha=0.5), runner=runner)
    assert runner.tokens == 19 + 1 + 2 * 20 * 9
    assert runner.most <= 32


@pytest.mark.parametrize("fails_at", [1, 2, 3, 4, None])
def test_every_row_is_closed_whatever_happens(llama, fails_at):
    runner = Counting(llama, fails_at=fails_at)
    how = RoseSettings(alpha=0.5, horizon=2)
    arguments = (llama, [1, 2], [[3, 4]], [[5, 6, 7], [8]])
    if fails_at is None:
        contrasted_logprobs(*arguments, settings=how, runner=runner)
    else:
        with pytest.raises(DecodingError):
            contrasted_logprobs(*arguments, settings=how, runner=runner)
    assert runner.opened == 0


def test_logits_that_are_not_finite_are_an_error(llama):
    broken = tiny_model(VOCABULARY, seed=5)
    with torch.no_grad():
        broken.model.embed_tokens.weight[7] = torch.nan
    with pytest.raises(DecodingError, match="reverse branch gave logits that are not finite"):
        contrasted_logprobs(broken, [1, 2], [[7]], [[3]], settings=RoseSettings(alpha=0.5))


def test_nothing_to_score_is_nothing_and_an_empty_continuation_an_error(llama):
    assert contrasted_logprobs(llama, [1], [], [], settings=PLAIN) == []
    with pytest.raises(InputError, match="has no tokens"):
        contrasted_logprobs(llama, [1], [], [[2], []], settings=PLAIN)


def test_what_does_not_fit_the_context_is_an_error_of_the_longest_branch(llama):
    how = RoseSettings(alpha=0.5)
    contrasted_logprobs(llama, [1] * 60, [[2] * 10], [[3] * 4], settings=how)
    with pytest.raises(ContextLengthError) as caught:
        contrasted_logprobs(llama, [1] * 10, [[2] * 60], [[3], [3] * 5], settings=how)
    assert (caught.value.prompt_tokens, caught.value.context_tokens) == (65, 64)


def test_weights_and_branches_are_checked_as_in_decoding(llama):
    with pytest.raises(SettingsError, match="weights"):
        contrasted_logprobs(llama, [1], [[2]], [[3]], settings=RoseSettings(), weights=[1.0, 2.0])
    with pytest.raises(SettingsError, match="no reverse prompt"):
        contrasted_logprobs(llama, [1], [], [[3]], settings=RoseSettings())
