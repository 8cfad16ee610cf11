"""Laws of the decoding loop, on tiny random models."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rose_guard import ContextLengthError, DecodingError, InputError, RoseSettings, SettingsError
from rose_guard.decoding import decode, rose_generate
from tests.tiny import small_gemma, small_mistral, small_qwen, tiny_model

VOCABULARY = 64
ids = st.lists(st.integers(0, VOCABULARY - 3), min_size=1, max_size=12)


@pytest.fixture(scope="module")
def llama():
    return tiny_model(VOCABULARY, context=64)


def plain(model, prompt, n, **options):
    output = model.generate(
        torch.tensor([prompt]), attention_mask=torch.ones(1, len(prompt)), max_new_tokens=n, **options
    )
    return without_eos(model, output[0, len(prompt) :].tolist())


def cfg(model, prompt, reverse, alpha, n):
    return plain(
        model,
        prompt,
        n,
        do_sample=False,
        guidance_scale=1 / (1 - alpha),
        negative_prompt_ids=torch.tensor([reverse]),
        negative_prompt_attention_mask=torch.ones(1, len(reverse), dtype=torch.long),
    )


def without_eos(model, tokens):
    eos = model.generation_config.eos_token_id
    return tokens[: tokens.index(eos)] if eos in tokens else tokens


@settings(max_examples=25, deadline=None)
@given(prompt=ids, reverse=ids)
def test_alpha_zero_is_plain_generate(llama, prompt, reverse):
    ours = rose_generate(llama, prompt, [reverse], settings=RoseSettings(alpha=0), max_new_tokens=16)
    assert ours == plain(llama, prompt, 16)


@settings(max_examples=25, deadline=None)
@given(prompt=ids, reverse=ids, alpha=st.sampled_from([0.3, 0.5, 0.7, 0.9]))
def test_greedy_rose_is_hugging_face_cfg_at_one_over_one_minus_alpha(llama, prompt, reverse, alpha):
    ours = rose_generate(llama, prompt, [reverse], settings=RoseSettings(alpha=alpha), max_new_tokens=16)
    assert ours == cfg(llama, prompt, reverse, alpha, 16)


@settings(max_examples=15, deadline=None)
@given(prompt=ids, seed=st.integers(0, 2**31))
def test_sampling_at_alpha_zero_is_plain_sampling_with_the_same_seed(llama, prompt, seed):
    torch.manual_seed(seed)
    theirs = plain(llama, prompt, 12, do_sample=True, temperature=0.8, top_p=0.9, top_k=20)
    sampling = RoseSettings(alpha=0, temperature=0.8, top_p=0.9, top_k=20, seed=seed)
    assert rose_generate(llama, prompt, [], settings=sampling, max_new_tokens=12) == theirs


@pytest.mark.parametrize(
    "changes",
    [
        {"repetition_penalty": 1.5},
        {"no_repeat_ngram_size": 2},
        {"suppress_tokens": [1, 2, 3]},
        {"min_new_tokens": 10},
        {"forced_eos_token_id": 5},
        {"bad_words_ids": [[4], [7, 8]]},
        {"exponential_decay_length_penalty": (2, 1.5)},
        {"eos_token_id": [3, 9, 62]},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_alpha_zero_follows_the_whole_generation_config(changes):
    model = tiny_model(VOCABULARY, seed=3)
    for name, value in changes.items():
        setattr(model.generation_config, name, value)
    eos = model.generation_config.eos_token_id
    for start in range(6):
        prompt = [start + 1, start + 11, start + 20]
        output = model.generate(torch.tensor([prompt]), attention_mask=torch.ones(1, 3), max_new_tokens=16)[
            0, 3:
        ].tolist()
        ends = [i for i, token in enumerate(output) if token in (eos if isinstance(eos, list) else [eos])]
        expected = output[: ends[0]] if ends else output
        assert rose_generate(model, prompt, [], settings=RoseSettings(alpha=0), max_new_tokens=16) == expected


@pytest.mark.parametrize("make", [small_mistral, small_qwen, small_gemma])
def test_the_identities_hold_for_other_architectures(make):
    model = make(VOCABULARY)
    prompt, reverse = [5, 6, 7, 8, 9, 10, 11, 12, 13], [20, 21, 22]
    assert rose_generate(model, prompt, [], settings=RoseSettings(alpha=0), max_new_tokens=16) == plain(
        model, prompt, 16, do_sample=False
    )
    ours = rose_generate(model, prompt, [reverse], settings=RoseSettings(alpha=0.5), max_new_tokens=16)
    assert ours == cfg(model, prompt, reverse, 0.5, 16)


def test_a_horizon_contrasts_exactly_the_first_tokens(llama):
    steps = list(
        decode(llama, [1, 2], [[3]], settings=RoseSettings(alpha=0.5, horizon=3, temperature=0), max_new_tokens=8)
    )
    assert [step.contrasted for step in steps] == [True] * 3 + [False] * (len(steps) - 3)
    tokens = [step.token_id for step in steps]
    assert without_eos(llama, tokens[3:]) == plain(llama, [1, 2, *tokens[:3]], len(steps) - 3)


def test_a_horizon_past_the_end_changes_nothing(llama):
    def generate(horizon):
        return rose_generate(llama, [1, 2], [[3]], settings=RoseSettings(alpha=0.5, horizon=horizon), max_new_tokens=12)

    assert generate(12) == generate(None)


def test_weights_share_the_total_and_equal_prompts_merge(llama):
    one = rose_generate(llama, [1, 2], [[3, 4]], settings=RoseSettings(alpha=0.6), max_new_tokens=12)
    two = rose_generate(
        llama, [1, 2], [[3, 4], [3, 4]], weights=[2.0, 1.0], settings=RoseSettings(alpha=0.6), max_new_tokens=12
    )
    assert one == two


@settings(max_examples=15, deadline=None)
@given(prompt=ids, reverse=ids)
def test_beta_one_leaves_only_the_positive_branch_choice(llama, prompt, reverse):
    ours = rose_generate(llama, prompt, [reverse], settings=RoseSettings(alpha=0.9, beta=1.0), max_new_tokens=8)
    assert ours == plain(llama, prompt, 8)


def test_the_same_seed_gives_the_same_tokens_and_another_one_does_not(llama):
    def sample(seed):
        return rose_generate(
            llama, [1, 2], [[3]], settings=RoseSettings(alpha=0.3, temperature=1.5, seed=seed), max_new_tokens=24
        )

    assert sample(7) == sample(7)
    assert len({tuple(sample(seed)) for seed in range(4)}) > 1


def test_the_last_step_says_why_it_is_the_last(llama):
    steps = list(decode(llama, [1, 2], [], settings=RoseSettings(alpha=0), max_new_tokens=5))
    assert [step.finish for step in steps[:-1]] == [None] * (len(steps) - 1)
    assert steps[-1].finish == ("stop" if steps[-1].token_id == VOCABULARY - 2 else "length")


def test_decoding_ends_at_any_end_of_sequence_token(llama):
    first = rose_generate(llama, [1, 2], [], settings=RoseSettings(alpha=0), max_new_tokens=4)
    model = tiny_model(VOCABULARY, context=64)
    model.generation_config.eos_token_id = [VOCABULARY - 2, first[2]]
    assert (
        rose_generate(model, [1, 2], [], settings=RoseSettings(alpha=0), max_new_tokens=9)
        == first[: first.index(first[2])]
    )


def test_a_prompt_that_fills_the_context_names_both_lengths(llama):
    with pytest.raises(ContextLengthError, match=r"70 tokens .* 64") as caught:
        rose_generate(llama, [1], [[2] * 70], max_new_tokens=1)
    assert (caught.value.prompt_tokens, caught.value.context_tokens) == (70, 64)


def test_an_answer_ends_where_the_context_does(llama):
    steps = list(decode(llama, [1] * 60, [[2] * 61], settings=RoseSettings(), max_new_tokens=50))
    assert len(steps) <= 3


@pytest.mark.parametrize(
    ("positive", "reverse", "options", "error"),
    [
        ([], [[1]], {}, InputError),
        ([1], [[]], {}, InputError),
        ([1], [], {}, SettingsError),
        ([1], [[1]], {"max_new_tokens": 0}, SettingsError),
        ([1], [[1]], {"weights": [1.0, 2.0]}, SettingsError),
        ([1], [[1]], {"weights": [0.0]}, SettingsError),
        ([1], [[1]], {"weights": [float("nan")]}, SettingsError),
        ([1], [[1], [2]], {"weights": [1.7e308, 1.7e308]}, SettingsError),
        ([1], [[1], [2]], {"weights": [1e-320, 1e10]}, SettingsError),
        ([1], [[1], [2]], {"weights": [float("inf"), 1.0]}, SettingsError),
    ],
)
def test_what_cannot_be_decoded_is_refused_with_a_typed_error(llama, positive, reverse, options, error):
    with pytest.raises(error):
        rose_generate(llama, positive, reverse, **options)


@pytest.mark.parametrize(("name", "value"), [("num_beams", 4), ("stop_strings", ["x"]), ("max_time", 1.0)])
def test_what_a_generation_config_asks_for_and_rose_cannot_follow_is_refused(name, value):
    model = tiny_model(VOCABULARY)
    setattr(model.generation_config, name, value)
    with pytest.raises(SettingsError, match=name):
        rose_generate(model, [1], [], settings=RoseSettings(alpha=0))


def test_a_model_that_keeps_no_key_value_cache_is_refused():
    from transformers import MambaConfig, MambaForCausalLM

    config = MambaConfig(vocab_size=VOCABULARY, hidden_size=16, num_hidden_layers=1, state_size=4)
    with pytest.raises(DecodingError, match="cache"):
        rose_generate(MambaForCausalLM(config), [1, 2], [[3]])


class Faulty(torch.nn.Module):
    """Spoils the logits after so many forward passes; the two branches take turns."""

    def __init__(self, head, spoil, *, after):
        super().__init__()
        self.head, self.spoil, self.after, self.calls = head, spoil, after, 0

    def forward(self, hidden):
        self.calls += 1
        logits = self.head(hidden)
        return self.spoil(logits) if self.calls > self.after else logits


def spoil_nan(logits):
    return logits.clone().fill_(float("nan"))


def spoil_one_inf(logits):
    spoilt = logits.clone()
    spoilt[..., 3] = float("inf")
    return spoilt


def spoil_raise(logits):
    raise torch.OutOfMemoryError("no memory left")


@pytest.mark.parametrize("spoil", [spoil_nan, spoil_one_inf, spoil_raise])
@pytest.mark.parametrize("after", [0, 1, 2, 5])
def test_a_branch_that_fails_ends_with_an_error_and_never_with_a_token_chosen_without_it(spoil, after):
    model = tiny_model(VOCABULARY)
    sound = [s.token_id for s in decode(model, [1, 2], [[3]], settings=RoseSettings(), max_new_tokens=6)]
    model.lm_head = Faulty(model.lm_head, spoil, after=after)
    given_out = []
    with pytest.raises(DecodingError):  # noqa: PT012 - what came before the fault counts too
        for step in decode(model, [1, 2], [[3]], settings=RoseSettings(), max_new_tokens=6):
            given_out.append(step.token_id)
    assert given_out == sound[: after // 2]
