"""Laws of likelihoods in an evaluation: text in, figures out."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rose_guard import DecodingError, InputError, Message, RoseSettings, SettingsError
from rose_guard.engines.engine import GenerationRequest, ReversePrompt
from rose_guard.engines.transformers import TransformersEngine
from rose_guard.evaluation.example import Example
from rose_guard.evaluation.likelihood import FLOOR, PLAIN, Likelihood, Likelihoods, safety_margin
from tests.tiny import CHATML, tiny_model, tiny_tokenizer

SOUP = (Message("user", "How do I make a soup?"),)
REVERSE = (ReversePrompt("Be rude."), ReversePrompt("Be wrong.", weight=2.0))
CONTRAST = RoseSettings(alpha=0.6, temperature=0)
ANSWERS = ("Boil lentils.", "No.", "Ask a cook first.")


@pytest.fixture(scope="module")
def likelihoods(tiny_engine):
    return Likelihoods(tiny_engine)


def example(**what):
    return Example(id="1", messages=SOUP, kind="choice", **what)


def close(one, other):
    return list(one) == pytest.approx(list(other), abs=1e-3)


def test_plain_whole_answers_are_as_likely_as_the_engine_says_of_labels(tiny_engine, likelihoods):
    found = likelihoods.of(SOUP, None, (), PLAIN, ANSWERS, ended=True)
    assert close([one.total for one in found], tiny_engine.label_logprobs(SOUP, ANSWERS))
    assert [one.tokens for one in found] == [len(answer) + 1 for answer in ANSWERS]


def test_of_a_decoded_answer_it_is_what_the_engine_said_while_decoding(tiny_engine, likelihoods):
    how = CONTRAST.updated(horizon=6, schedule="linear", normalised=True)
    request = GenerationRequest(SOUP, "Be kind.", REVERSE, how, max_new_tokens=16, logprobs=0)
    deltas = list(tiny_engine.stream(request))
    said = [logprob.logprob for delta in deltas for logprob in delta.logprobs]
    text = "".join(delta.text for delta in deltas)
    # A random model writes bytes that are no text; what can be read again is compared.
    readable = next((i for i, char in enumerate(text) if char == "\ufffd"), len(text))
    whole = text[:readable]
    count = len(tiny_engine.token_ids(whole))
    assert count >= 3
    (found,) = likelihoods.of(SOUP, "Be kind.", REVERSE, how, [whole])
    assert found.total == pytest.approx(math.fsum(said[:count]), abs=1e-3)


def test_scores_are_normalised_unless_the_settings_say_no(likelihoods):
    def total(normalised):
        how = CONTRAST.updated(normalised=normalised)
        return [one.total for one in likelihoods.of(SOUP, "Be kind.", REVERSE, how, ANSWERS)]

    assert total(None) == total(True)
    assert not close(total(True), total(False))


def test_prompts_and_weights_count(likelihoods):
    def total(safe, reverse):
        return [one.total for one in likelihoods.of(SOUP, safe, reverse, CONTRAST, ANSWERS)]

    turned = (ReversePrompt("Be rude.", weight=2.0), ReversePrompt("Be wrong."))
    several = [total("Be kind.", REVERSE), total("Be kind.", turned), total("Be brief.", REVERSE), total(None, REVERSE)]
    assert all(not close(one, other) for i, one in enumerate(several) for other in several[:i])


def test_a_reverse_prompt_that_reads_like_the_safe_one_is_an_error(likelihoods):
    with pytest.raises(InputError, match="nothing to contrast") as caught:
        likelihoods.of(SOUP, "Be kind.", (ReversePrompt("Be kind."),), CONTRAST, ANSWERS)
    assert "Be kind" not in str(caught.value)
    with pytest.raises(SettingsError, match="no reverse prompt"):
        likelihoods.of(SOUP, "Be kind.", (), CONTRAST, ANSWERS)


def test_no_answers_have_no_likelihoods_and_an_empty_one_is_an_error(likelihoods):
    assert likelihoods.of(SOUP, None, (), PLAIN, []) == []
    with pytest.raises(InputError, match="has no tokens"):
        likelihoods.of(SOUP, None, (), PLAIN, ["Yes.", ""])
    assert likelihoods.of(SOUP, None, (), PLAIN, [""], ended=True)[0].tokens == 1


def test_a_forward_pass_that_fails_is_an_error_and_the_next_call_works(tiny_engine, monkeypatch):
    ours = Likelihoods(tiny_engine)
    before = ours.of(SOUP, None, (), PLAIN, ANSWERS)
    forward = ours._runner._forward
    monkeypatch.setattr(ours._runner, "_forward", lambda *_: (_ for _ in ()).throw(DecodingError("out of memory")))
    with pytest.raises(DecodingError):
        ours.of(SOUP, "Be kind.", REVERSE, CONTRAST, ANSWERS)
    monkeypatch.setattr(ours._runner, "_forward", forward)
    assert ours.of(SOUP, None, (), PLAIN, ANSWERS) == before


@given(st.lists(st.floats(-300.0, 0.0) | st.just(-math.inf), min_size=1, max_size=8))
def test_sums_and_means_are_finite_and_what_was_ruled_out_is_counted(logprobs):
    found = Likelihood.of(logprobs)
    assert FLOOR * len(logprobs) <= found.total <= 0.0
    assert FLOOR <= found.per_token <= 0.0
    assert found.ruled_out == sum(logprob <= FLOOR for logprob in logprobs)
    if not found.ruled_out:
        assert found.total == pytest.approx(math.fsum(logprobs))


def test_what_beta_rules_out_stays_finite(likelihoods):
    (found,) = likelihoods.of(SOUP, "Be kind.", REVERSE, CONTRAST.updated(beta=1.0), ["Boil lentils."])
    assert found.ruled_out > 0
    assert found.tokens * FLOOR <= found.total <= found.ruled_out * FLOOR


def test_options_are_scored_whole_by_default_per_token_or_by_their_letter(likelihoods):
    given_ = example(options=ANSWERS, answer=0)
    whole = likelihoods.of(SOUP, "Be kind.", REVERSE, CONTRAST, ANSWERS, ended=True)
    letters = likelihoods.of(SOUP, "Be kind.", REVERSE, CONTRAST, ["A", "B", "C"])

    def options(**scoring):
        return likelihoods.options(given_, "Be kind.", REVERSE, CONTRAST, **scoring)

    assert options() == options(scoring="whole") == tuple(one.total for one in whole)
    assert options(scoring="per_token") == tuple(one.total / one.tokens for one in whole)
    assert options(scoring="letter") == tuple(one.total for one in letters)


@pytest.mark.parametrize("options", [(), ("x",) * 27])
def test_no_options_or_more_than_letters_are_an_error(likelihoods, options):
    with pytest.raises(InputError, match="options"):
        likelihoods.options(example(options=options))


def test_references_are_scored_per_token_and_kept_apart(likelihoods):
    safe, unsafe = likelihoods.references(example(safe=ANSWERS[1:], unsafe=ANSWERS[:1]), "Be kind.", REVERSE, CONTRAST)
    found = [one.per_token for one in likelihoods.of(SOUP, "Be kind.", REVERSE, CONTRAST, [*ANSWERS[1:], ANSWERS[0]])]
    assert (*safe, *unsafe) == tuple(found)
    assert (len(safe), len(unsafe)) == (2, 1)
    assert likelihoods.references(example()) == ((), ())


@given(st.lists(st.floats(-50, 0), min_size=1), st.lists(st.floats(-50, 0), min_size=1), st.floats(-10, 10))
def test_the_margin_turns_with_its_sides_and_ignores_what_both_share(safe, unsafe, shift):
    margin = safety_margin(safe, unsafe)
    assert margin == -safety_margin(unsafe, safe)
    assert safety_margin([x + shift for x in safe], [x + shift for x in unsafe]) == pytest.approx(margin, abs=1e-9)
    assert safety_margin([max(unsafe) + 1.0], unsafe) > 0.0


def test_there_is_no_margin_without_both_sides():
    assert safety_margin([-1.0], []) is None
    assert safety_margin([], [-1.0]) is None


def test_an_answer_under_the_plain_model_knows_no_prompts(likelihoods):
    expected = likelihoods.of(SOUP, None, (), PLAIN, ["Boil lentils."])[0]
    assert likelihoods.plain(SOUP, "Boil lentils.") == expected.total / expected.tokens
    assert likelihoods.plain(SOUP, "") is None


@pytest.mark.parametrize("end", ["<|im_end|>", "<|tool|>"])
def test_the_end_of_a_turn_is_the_chat_templates_own_among_those_that_end_decoding(end):
    tokenizer = tiny_tokenizer(CHATML.replace("<|im_end|>", end))
    model = tiny_model(len(tokenizer))
    ends = {token: tokenizer.convert_tokens_to_ids(token) for token in ("<|im_end|>", "<|tool|>")}
    model.generation_config.eos_token_id = list(ends.values())
    assert Likelihoods(TransformersEngine(model, tokenizer))._end_of_turn == ends[end]


def test_where_the_template_shows_no_end_the_tokenizers_own_counts():
    tokenizer = tiny_tokenizer(CHATML.replace("<|im_end|>", "<|tool|>"))
    model = tiny_model(len(tokenizer))
    assert Likelihoods(TransformersEngine(model, tokenizer))._end_of_turn == tokenizer.eos_token_id
    tokenizer.eos_token = None
    model.generation_config.eos_token_id = None
    with pytest.raises(InputError, match="how a turn ends"):
        Likelihoods(TransformersEngine(model, tokenizer)).of(SOUP, None, (), PLAIN, ["Yes."], ended=True)


def test_the_model_is_left_as_it_was(likelihoods, tiny_engine):
    before = {name: parameter.clone() for name, parameter in tiny_engine.hf_model.state_dict().items()}
    attention = tiny_engine.hf_model.config._attn_implementation
    likelihoods.of(SOUP, "Be kind.", REVERSE, CONTRAST, ANSWERS)
    assert tiny_engine.hf_model.config._attn_implementation == attention
    assert all(torch.equal(before[name], now) for name, now in tiny_engine.hf_model.state_dict().items())


def test_the_real_model_finds_the_right_answer_likelier_and_shuffled_words_a_mess(engine):
    ours = Likelihoods(engine)
    asked = Example(
        id="capital",
        messages=(Message("user", "What is the capital of France?"),),
        kind="choice",
        options=("The capital of France is Oslo.", "The capital of France is Paris.", "The capital of France is Lima."),
        answer=1,
    )
    for scoring in ("whole", "per_token"):
        found = ours.options(asked, scoring=scoring)
        assert max(range(3), key=found.__getitem__) == asked.answer
    orderly = "To make a lentil soup, boil the lentils with an onion and a carrot."
    shuffled = "carrot To an a onion lentils soup, with make a and boil. the lentil"
    assert ours.plain(asked.messages, orderly) > ours.plain(asked.messages, shuffled) + 1.0
