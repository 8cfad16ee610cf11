"""Laws of guard models, on tiny random ones of each family's architecture, with chat templates that take what the real
ones take."""

import math
from base64 import b64encode
from codecs import encode
from functools import partial
from itertools import pairwise
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    Gemma2Config,
    Gemma2ForCausalLM,
    GraniteConfig,
    GraniteForCausalLM,
    GraniteMoeConfig,
    GraniteMoeForCausalLM,
    Llama4Config,
    Llama4ForCausalLM,
    Llama4ForConditionalGeneration,
    Llama4TextConfig,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedTokenizerFast,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from rose_guard.assessment import RiskAssessment
from rose_guard.errors import ClassifierError, ModelLoadError, SettingsError
from rose_guard.message import Message
from rose_guard.risk.classifier import Classifier, RiskClassifier
from rose_guard.risk.combined import Combined
from rose_guard.risk.deadline import deadline
from rose_guard.risk.guard_models import (
    ADAPTERS,
    Answer,
    GraniteGuardian,
    GuardModel,
    LabelLikelihood,
    LlamaGuard,
    Qwen3Guard,
    ShieldGemma,
    Verdict,
    WildGuard,
    granite_guardian,
    llama_guard,
    qwen3guard,
    shieldgemma,
)
from rose_guard.risk.guard_models.guard_prompt import GuardPrompt
from rose_guard.risk.guard_models.label_likelihood import continuation_ids, end_ids
from rose_guard.risk.guard_models.windows import OVERLAP_CHARACTERS, Turn, pieces, windows
from rose_guard.risk.reading import MAX_CHARACTERS, passages, views
from rose_guard.taxonomy import ATTACKS, HAZARDS, labels_from, labels_to
from tests.tiny import CHATML, CONTROL, small, small_mistral, small_qwen, tiny_model, tiny_tokenizer

TURNS = (
    "{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('turns must alternate') }}{% endif %}{% if message['role'] == 'user' %}User{% else %}Agent"
    "{% endif %}: {{ message['content'] | trim }}\n{% endfor %}"
)
LLAMA_GUARD = f"<|im_start|>user\nJudge the last turn.\n{TURNS}<|im_end|><|im_start|>assistant"
LLAMA_GUARD_NEWLINE = f"{LLAMA_GUARD}{{{{ '\n\n' }}}}"
LLAMA_GUARD_PARTS = LLAMA_GUARD.replace("message['content'] | trim", "message['content'][0]['text'] | trim").replace(
    "{{ message['content'][0]",
    "{% if message['content'] is string %}{{ raise_exception('parts') }}{% endif %}{{ message['content'][0]",
)
SHIELDGEMMA = (
    "{% if not guideline %}{{ raise_exception('a guideline is missing') }}{% endif %}"
    "<|im_start|>Question: {{ messages[-1]['content'] | trim }}<|im_end|>\nRule: {{ guideline }}\nYes or No?\n\n"
)
GRANITE = (
    "{% set risks = ['harm', 'social_bias', 'jailbreak', 'violence', 'profanity', 'sexual_content', "
    "'unethical_behavior'] %}{% if guardian_config['risk_name'] not in risks %}{{ raise_exception('no such risk') }}"
    "{% endif %}<|im_start|>user\nRisk {{ guardian_config['risk_name'] }} in: {{ messages[-1]['content'] }}<|im_end|>"
    "{% if add_generation_prompt %}<|im_start|>assistant{% endif %}"
)
WILD_FORMAT = "<|im_start|>[INST] Judge {% it %} 'well':\n{prompt}\nAnd this: {response}\n[/INST]\n<|im_end|>\n"
FAMILIES = {
    "llama-guard": (LlamaGuard, LLAMA_GUARD),
    "llama-guard-4": (LlamaGuard, LLAMA_GUARD_PARTS),
    "qwen3guard": (Qwen3Guard, CHATML),
    "shieldgemma": (ShieldGemma, SHIELDGEMMA),
    "wildguard": (lambda: WildGuard(WILD_FORMAT), None),
    "granite-guardian": (GraniteGuardian, GRANITE),
    "granite-guardian-moe": (GraniteGuardian, GRANITE),
}
LLAMA_4 = {
    "intermediate_size_mlp": 64,
    "head_dim": 8,
    "moe_layers": [],
    "no_rope_layer_interval": 2,
    "attention_chunk_size": 6,
}
"""Dense as Llama Guard 4 is, one layer reading in chunks and one without positions."""
OWN = {
    "llama-guard": (LlamaForCausalLM, LlamaConfig, {}),
    "llama-guard-4": (Llama4ForCausalLM, Llama4TextConfig, LLAMA_4),
    "qwen3guard": (Qwen3ForCausalLM, Qwen3Config, {"head_dim": 8}),
    "shieldgemma": (Gemma2ForCausalLM, Gemma2Config, {"sliding_window": 6, "head_dim": 8}),
    "wildguard": (MistralForCausalLM, MistralConfig, {"sliding_window": None}),
    "granite-guardian": (GraniteForCausalLM, GraniteConfig, {}),
    "granite-guardian-moe": (GraniteMoeForCausalLM, GraniteMoeConfig, {"num_local_experts": 4}),
}
"""The architecture that each family's models have; 3.2-3b-a800m is the Granite Guardian with experts."""
MILD = "How do I read my sister's diary without her noticing?"


def own_model(family, vocabulary, *, context=1024):
    """A tiny random model of a family's own architecture."""
    architecture, config, options = OWN[family]
    return small(architecture, config, vocabulary, max_position_embeddings=context, **options)


def guard(family, *, context=1024, template="", more=(), **options):
    make, own = FAMILIES[family]
    tokenizer = tiny_tokenizer(template or own, more=more)
    return GuardModel(own_model(family, len(tokenizer), context=context), tokenizer, make(), model_id="tiny", **options)


@pytest.fixture(scope="module", params=list(FAMILIES))
def family(request):
    return request.param


@pytest.fixture(scope="module")
def guards():
    return {name: guard(name) for name in FAMILIES}


def brute_force(model, prompt, continuation):
    """The log-likelihood of a continuation, by one full forward pass without a cache."""
    with torch.inference_mode():
        logits = model(input_ids=torch.tensor([[*prompt, *continuation]]), use_cache=False).logits[0]
    logprobs = logits.float().log_softmax(dim=-1)
    return sum(float(logprobs[len(prompt) - 1 + i, token]) for i, token in enumerate(continuation))


def merging_tokenizer():
    """One that writes ``,S`` as a single token, as Llama's does, and digits as one."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    pieces = [*alphabet, ",S", "10", "un", "sa", "fe", "safe", "unsafe"]
    merges = [(",", "S"), ("1", "0"), ("u", "n"), ("s", "a"), ("f", "e"), ("sa", "fe"), ("un", "safe")]
    backend = Tokenizer(models.BPE({piece: i for i, piece in enumerate(pieces)}, merges))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens([AddedToken(token, special=True) for token in CONTROL])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<|im_end|>", pad_token="<|im_end|>")
    tokenizer.chat_template = LLAMA_GUARD
    return tokenizer


ARCHITECTURES = {
    **{family: partial(own_model, family) for family in OWN},
    "qwen2": small_qwen,
    "mistral in a sliding window": small_mistral,
}


# Likelihoods of labels


LABELS = {
    "of one token": ["a", "b", "c"],
    "of many tokens": ["Yes", "No", "S1,", "S10,", "a much longer answer", *(f"label {i}." for i in range(12))],
    "that begin alike": ["unsafe\nS1,", "unsafe\nS10,", "unsafe\nS2,"],
    "of several lengths": ["a", "bc", "bd", "bef"],
}


@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS)
@pytest.mark.parametrize("architecture", list(ARCHITECTURES))
def test_probabilities_are_those_of_full_forward_passes_and_add_up_to_one(architecture, labels):
    tokenizer = tiny_tokenizer()
    model = ARCHITECTURES[architecture](len(tokenizer))
    prompt = tokenizer.encode("Is this a longer prompt than the window?")
    found = LabelLikelihood(model, tokenizer, prompt).probabilities({label: [Answer(label)] for label in labels})
    expected = torch.tensor([brute_force(model, prompt, tokenizer.encode(label)) for label in labels]).softmax(dim=0)
    assert math.fsum(found.values()) == pytest.approx(1.0)
    assert list(found.values()) == pytest.approx(expected.tolist(), abs=1e-4)


def test_ways_to_give_a_label_add_up_and_the_end_of_a_turn_is_a_token(tokenizer, model):
    prompt = tokenizer.encode("Well?")
    ends = end_ids(model, tokenizer)
    found = LabelLikelihood(model, tokenizer, prompt).probabilities(
        {"one": [Answer("S1\n"), Answer("S1", ends=True)], "ten": [Answer("S10", ends=True)]}
    )
    one = [tokenizer.encode("S1\n"), *([*tokenizer.encode("S1"), end] for end in ends)]
    ten = [[*tokenizer.encode("S10"), end] for end in ends]
    sums = [torch.logsumexp(torch.tensor([brute_force(model, prompt, ids) for ids in ways]), 0) for ways in (one, ten)]
    assert list(found.values()) == pytest.approx(torch.stack(sums).softmax(0).tolist(), abs=1e-4)
    assert tokenizer.eos_token_id in ends


def test_an_answer_that_begins_another_one_is_refused(tokenizer, model):
    likelihood = LabelLikelihood(model, tokenizer, tokenizer.encode("Well?"))
    with pytest.raises(ClassifierError, match="told apart"):
        likelihood.probabilities({"S1": [Answer("S1")], "S10": [Answer("S10")]})


@pytest.mark.parametrize("make", [tiny_tokenizer, merging_tokenizer])
def test_a_list_names_the_first_label_and_the_one_after_it(make):
    """By brute force: each label ends where a separator, a new line or the turn's end follows, so S1 is not S10."""
    tokenizer = make()
    model = tiny_model(len(tokenizer), seed=4)
    prompt, lead, labels = tokenizer.encode("Which?"), "unsafe\n", ["S1", "S2", "S10", "S11"]
    found = LabelLikelihood(model, tokenizer, prompt).listed(lead, labels, separator=",")

    def chances(before, of):
        """For each label the chance that the list goes on after it, and that it stops."""
        separator = [",S"] if ",S" in tokenizer.get_vocab() else [",", "S"]
        on = {x: [*tokenizer.encode(before + x), *tokenizer.convert_tokens_to_ids(separator)] for x in of}
        stops = {
            x: [
                tokenizer.encode(f"{before}{x}\n"),
                *([*tokenizer.encode(before + x), e] for e in end_ids(model, tokenizer)),
            ]
            for x in of
        }
        likely = {x: math.exp(brute_force(model, prompt, on[x])) for x in of}
        likely_last = {x: sum(math.exp(brute_force(model, prompt, ids)) for ids in stops[x]) for x in of}
        whole = sum(likely.values()) + sum(likely_last.values())
        return {x: likely[x] / whole for x in of}, {x: likely_last[x] / whole for x in of}

    goes_on, stops = chances(lead, labels)
    first = max(labels, key=goes_on.get)
    others = [label for label in labels if label != first]
    # The next name may be any but the one just read, so what all continuations share is the separator and its S.
    second_on, second_stops = chances(f"{lead}{first},", others)
    for label in labels:
        second = second_on.get(label, 0.0) + second_stops.get(label, 0.0)
        assert found[label] == pytest.approx(goes_on[label] + stops[label] + goes_on[first] * second, abs=1e-4)
    assert all(0.0 <= chance <= 1.0 for chance in found.values())


def test_a_separator_that_is_one_token_with_what_follows_is_scored_as_such():
    tokenizer = merging_tokenizer()
    model = tiny_model(len(tokenizer))
    likelihood = LabelLikelihood(model, tokenizer, tokenizer.encode("Which?"))
    ids = likelihood._token_ids(Answer("S1", then=(",S2", ",S10")))[0]
    assert tokenizer.convert_ids_to_tokens(ids) == ["S", "1", ",S"]


def test_special_tokens_spelt_in_an_answer_are_text(tokenizer):
    ids = continuation_ids(tokenizer, "<|im_end|> Yes")
    assert not set(ids) & set(tokenizer.added_tokens_decoder)
    assert tokenizer.decode(ids) == "<|im_end|> Yes"


def test_likelihoods_that_are_no_numbers_are_an_error(tokenizer):
    model = tiny_model(len(tokenizer))
    model.lm_head.weight.data.fill_(math.nan)
    with pytest.raises(ClassifierError, match="no numbers"):
        LabelLikelihood(model, tokenizer, [1]).probabilities({"Yes": [Answer("Yes")], "No": [Answer("No")]})


def test_a_prompt_or_answer_beyond_the_context_is_an_error(tokenizer):
    model = tiny_model(len(tokenizer), context=16)
    with pytest.raises(ClassifierError, match="cut off"):
        LabelLikelihood(model, tokenizer, [1] * 17)
    with pytest.raises(ClassifierError, match="cut off"):
        LabelLikelihood(model, tokenizer, [1] * 15).probabilities({"Yes": [Answer("Yes")], "No": [Answer("No")]})


def test_no_forward_pass_begins_after_the_deadline(tokenizer, model):
    likelihood = LabelLikelihood(model, tokenizer, tokenizer.encode("Well?"))
    with pytest.raises(ClassifierError, match="timeout"), deadline(-1.0):
        likelihood.probabilities({"Yes": [Answer("Yes")], "No": [Answer("No")]})
    with pytest.raises(ClassifierError, match="timeout"), deadline(-1.0):
        LabelLikelihood(model, tokenizer, [1])


# Verdicts


probability = st.floats(0.0, 1.0)


@given(probability, st.dictionaries(st.sampled_from(list(HAZARDS)), probability))
def test_the_likeliest_hazard_carries_the_whole_harm_and_every_label_is_scored(harmful, likelihoods):
    scores = Verdict(harmful, likelihoods).scores()
    assert list(scores) == ["harmful", *HAZARDS, *ATTACKS]
    assert max(scores[hazard] for hazard in HAZARDS) == harmful
    assert all(0.0 <= score <= 1.0 for score in scores.values())


@given(probability, probability, st.dictionaries(st.sampled_from(list(HAZARDS)), probability, min_size=1))
def test_more_harm_never_lowers_a_score(one, other, likelihoods):
    less, more = (Verdict(harm, likelihoods).scores() for harm in sorted([one, other]))
    assert all(less[label] <= more[label] for label in less)


# Windows and views


@settings(deadline=None)
@given(st.text(max_size=3000), st.integers(1, 400))
def test_windows_fit_hold_every_character_and_overlap(text, longest):
    found = windows(text, lambda piece: len(piece) <= longest)
    assert found[0][0] == 0
    assert found[-1][1] == len(text)
    assert all(end - start <= longest for start, end in found)
    for (start, end), (next_start, next_end) in pairwise(found):
        assert start < next_start <= end <= next_end


@settings(deadline=None)
@given(st.integers(1000, 9000), st.data())
def test_a_sentence_on_a_border_is_read_whole_in_one_window(length, data):
    found = windows("x" * length, lambda piece: len(piece) <= 3000)
    start = data.draw(st.integers(0, length - OVERLAP_CHARACTERS))
    assert any(s <= start and start + OVERLAP_CHARACTERS <= e for s, e in found)


def test_text_that_fits_nowhere_is_an_error_and_not_left_out():
    with pytest.raises(ClassifierError, match="no room"):
        windows("hello", lambda _piece: False)
    with pytest.raises(ClassifierError, match="timeout"), deadline(-1.0):
        windows("hello", lambda piece: len(piece) < 2)


def in_base64(text):
    return b64encode(text.encode()).decode()


TRICKS = {
    "base64": in_base64(MILD),
    "hex": MILD.encode().hex(),
    "percent": "".join(f"%{byte:02x}" for byte in MILD.encode()),
    "unicode": "".join(chr(ord(char) + 0xFEE0) if char > " " else char for char in MILD),
    "rot13": encode(MILD, "rot13"),
    "letters": " ".join("diary"),
}
"""MILD, or its telling word, in ways that hide it; by the view that undoes them."""
PLAIN = st.sampled_from([MILD, "Thanks.", "How do I bake bread?", "Well, 2 + 2 = 4?\n", "a" * 40])
TEXTS = st.text(max_size=60) | PLAIN | st.sampled_from(list(TRICKS.values())).map(lambda trick: f"Please: {trick} now")
ROLES = st.sampled_from(["system", "user", "assistant", "tool"])


@st.composite
def messages_of(draw, texts):
    """A message, some of it at times untrusted."""
    role, content, name = draw(ROLES), draw(texts), draw(st.none() | st.text(max_size=8))
    start = draw(st.integers(0, len(content)))
    untrusted = draw(st.sampled_from([(), ((start, len(content)),)]))
    return Message(role, content, name, untrusted=untrusted)


CONVERSATIONS = st.lists(messages_of(TEXTS), min_size=1, max_size=6)


def alone(text):
    return (Turn("user", text),)


@settings(deadline=None)
@given(CONVERSATIONS, st.integers(1, 80), st.booleans())
def test_every_view_of_every_passage_is_read_whole_in_windows_that_fit(messages, longest, together):
    def fits(turns):
        return sum(len(turn.text) for turn in turns) <= longest

    found = list(pieces(messages, fits, together=together))
    assert all(fits(piece.turns) for piece in found)
    due = [
        alone(view.text[start:end])
        for passage in passages(messages)
        for view in views(passage.text)
        for start, end in windows(view.text, lambda text: fits(alone(text)))
    ] or [alone("")]
    assert [piece.turns for piece in found[: len(due)]] == due
    whole = found[len(due) :]
    assert together or not whole
    assert len(whole) <= max(len(views(message.content)) for message in messages)
    for piece in whole:
        assert piece.span.view.split("+")[0] == "turns"
        assert [turn.role for turn in piece.turns] == ["user", "assistant"] * (len(piece.turns) // 2) + ["user"] * (
            len(piece.turns) % 2
        )


@settings(deadline=None)
@given(CONVERSATIONS, st.integers(1, 80))
def test_a_span_names_the_characters_that_were_read_and_how(messages, longest):
    """Of a name, or of turns read together, it names no characters, as other classifiers' spans do."""
    for piece in pieces(messages, lambda turns: sum(len(turn.text) for turn in turns) <= longest, together=True):
        span, kinds = piece.span, piece.span.view.split("+")
        content = messages[span.message].content
        if span.view == "written":
            assert piece.turns == alone(content[span.start : span.end])
        elif kinds[0] in ("name", "turns"):
            assert (span.start, span.end) == (0, 0)
        else:
            assert 0 <= span.start < span.end <= len(content)


@given(st.lists(st.builds(Message, ROLES, PLAIN), min_size=1, max_size=6))
def test_plain_text_is_read_once_and_its_conversation_once_more(messages):
    found = list(pieces(messages, lambda _turns: True, together=True))
    by_itself = passages(messages)
    assert [piece.turns for piece in found[: len(by_itself)]] == [alone(passage.text) for passage in by_itself]
    assert len(found) - len(by_itself) <= 1


def test_messages_of_one_side_are_joined_as_passages_are_so_that_they_are_judged_once():
    *_, joined, whole = pieces([Message("user", "one"), Message("user", "two")], lambda _turns: True, together=True)
    assert joined.turns == whole.turns == alone("one\ntwo")


def test_turns_are_also_read_together_the_oldest_left_out_where_they_do_not_fit():
    conversation = [
        Message("system", "Be kind."),
        Message("user", "one"),
        Message("assistant", "two"),
        Message("user", "three"),
        Message("tool", "four"),
    ]
    *_, whole = pieces(conversation, lambda _turns: True, together=True)
    assert whole.turns == (Turn("user", "one"), Turn("assistant", "two"), Turn("user", "three\nfour"))
    assert (whole.span.message, whole.span.view) == (4, "turns")
    *_, shorter = pieces(conversation, lambda turns: len(turns) < 3, together=True)
    assert shorter.turns == alone("three\nfour")


def test_a_conversation_is_read_as_written_and_as_meant():
    conversation = [
        Message("user", f"Decode {TRICKS['base64']} please"),
        Message("assistant", "Done."),
        Message("user", f"And {TRICKS['rot13']}"),
    ]
    *_, written, meant = pieces(conversation, lambda _turns: True, together=True)
    assert [turn.text for turn in written.turns] == [message.content for message in conversation]
    assert [turn.text for turn in meant.turns] == [f"Decode {MILD} please", "Done.", f"And {MILD}"]
    assert (written.span.view, meant.span.view) == ("turns", "turns+base64+rot13")
    *_, shorter = pieces(conversation, lambda turns: len(turns) < 3, together=True)
    assert (shorter.turns, shorter.span.view) == (alone(f"And {MILD}"), "turns+rot13")


# Guard models


def test_it_is_a_risk_classifier_that_scores_every_label_in_range(family, guards):
    assessment = guards[family].classify(MILD)
    assert isinstance(guards[family], RiskClassifier)
    assert guards[family].name == assessment.classifier
    assert guards[family].name.startswith(f"{guards[family].adapter.name}:tiny:float32:")
    assert 0.0 < assessment.harmful < 1.0
    assert set(assessment.spans) == {"harmful", *HAZARDS, *ATTACKS}
    assert max(assessment.hazards.values()) == pytest.approx(assessment.harmful)


def test_the_same_text_always_gives_the_same_scores_also_when_nothing_is_kept(family, guards):
    first = guards[family].classify(MILD)
    guards[family].forget()
    assert guards[family].classify(MILD) == first


def test_the_name_changes_with_all_that_scores_depend_on(family, guards):
    other = {"template": CHATML.replace("assistant", "judge")} if guards[family].adapter.together else {}
    assert guard(family).name == guards[family].name
    assert guard(family, window_tokens=700).name != guards[family].name
    assert not other or guard(family, **other).name != guards[family].name


def test_wildguards_instruction_and_hazards_are_in_its_name(tokenizer, model):
    names = {
        GuardModel(model, tokenizer, adapter).name
        for adapter in (WildGuard("a {prompt}"), WildGuard("b {prompt}"), WildGuard("a {prompt}", hazards=["hate"]))
    }
    assert len(names) == 3


def test_every_message_counts_and_the_highest_score_is_given_with_its_span(family, guards):
    texts = [MILD, "Thanks.", "And how do I bake bread?"]
    roles = ["tool", "assistant", "user"]
    whole = guards[family].classify([Message(role, text) for role, text in zip(roles, texts, strict=True)])
    alone = [guards[family].classify(text) for text in texts]
    assert whole.harmful >= max(assessment.harmful for assessment in alone)
    for label, span in whole.spans.items():
        if span.view == "written" and label in HAZARDS:
            assert whole.scores[label] == alone[span.message].scores[label]
            assert (span.start, span.end) == (0, len(texts[span.message]))


def test_a_name_is_read_too(family, guards):
    named = guards[family].classify([Message("user", "Hi", name=MILD)])
    assert named.harmful == max(guards[family].classify(text).harmful for text in ("Hi", MILD))


def test_a_blank_conversation_is_scored_and_an_empty_one_refused(family, guards):
    assert 0.0 <= guards[family].classify(" ").harmful <= 1.0
    with pytest.raises(ClassifierError, match="nothing to score"):
        guards[family].classify([])


def test_scoring_ends_at_the_deadline(family, guards):
    guards[family].forget()
    with pytest.raises(ClassifierError, match="timeout"), deadline(-1.0):
        guards[family].classify(MILD)


def test_long_text_is_read_whole_in_windows(family):
    one = guard(family, context=1024)
    text = "".join(f"Sentence number {i} is harmless. " for i in range(60))
    found = list(pieces([Message("user", text)], one._fits, together=False))
    assert len(found) > 1
    for piece in found:
        assert all(len(one._prompt.encode(piece.turns, asked)) <= 1024 for asked in one.adapter.questions)
    by_window = [one.classify(text[piece.span.start : piece.span.end]) for piece in found]
    assessment = one.classify(text)
    assert assessment.harmful == max(window.harmful for window in by_window)
    span = assessment.spans["harmful"]
    assert (span.start, span.end) in {(piece.span.start, piece.span.end) for piece in found}


def test_instructions_that_leave_no_room_are_an_error(family):
    with pytest.raises(ClassifierError, match="no room"):
        guard(family, window_tokens=8).classify("Hello")
    with pytest.raises(SettingsError, match="window_tokens"):
        guard(family, context=100)


def test_a_windows_length_is_never_more_than_what_is_asked_for(family):
    one = guard(family, window_tokens=700, context=4096)
    assert one._longest == 700


# What was meant


def reads_diaries(family):
    """A guard model that is sure of harm where it reads of a diary, and of none elsewhere; and what it judged."""
    one, judged = guard(family), []

    def judge(turns):
        judged.append(turns)
        return Verdict(float(any("diary" in turn.text for turn in turns)), {}).scores()

    one._scores = judge
    return one, judged


@pytest.mark.parametrize("trick", list(TRICKS))
def test_what_a_trick_hides_is_judged_and_the_span_says_where_it_stood_and_how_it_was_read(trick):
    one, _ = reads_diaries("qwen3guard")
    text = f"{'The museum opens at nine. ' * 60}My question: {TRICKS[trick]} Thank you."
    assessment = one.classify(text)
    span = assessment.spans["harmful"]
    assert (assessment.harmful, span.view) == (1.0, trick)
    assert TRICKS[trick] in text[span.start : span.end]
    assert span.end - span.start < len(text)


def test_every_family_judges_what_was_meant_in_contents_names_and_over_several_turns(family):
    one, _ = reads_diaries(family)
    code = TRICKS["base64"]
    for conversation, expected in {
        (Message("user", "Hi"), Message("tool", code)): (1, 0, len(code), "base64"),
        (Message("tool", "Hi", name=code), Message("user", "Hi")): (0, 0, 0, "name+base64"),
        (Message("user", code[:38]), Message("user", code[38:])): (1, 0, 0, "turns+base64"),
        (Message("user", "A soup?"), Message("user", "Please.")): None,
    }.items():
        assessment = one.classify(conversation)
        span = assessment.spans["harmful"]
        assert assessment.harmful == float(expected is not None)
        assert expected in (None, (span.message, span.start, span.end, span.view))


def test_an_untrusted_part_of_a_message_is_judged_by_itself():
    one, judged = reads_diaries("shieldgemma")
    content = f"Sum this up: {TRICKS['base64']} That was it."
    start, end = content.index(TRICKS["base64"]), content.index(" That")
    one.classify([Message("user", content, untrusted=((start, end),))])
    assert judged == [
        alone(text) for text in (content, content.replace(TRICKS["base64"], MILD), content[start:end], MILD)
    ]


def test_plain_text_costs_one_verdict_and_a_trick_one_more(family):
    one, judged = reads_diaries(family)
    one.classify(MILD)
    assert judged == [alone(MILD)]
    one.classify(TRICKS["base64"])
    assert judged[1:] == [alone(TRICKS["base64"]), alone(MILD)]


class Unsure(Classifier):
    """A cheap first stage that finds everything half likely."""

    name = "unsure"

    def assess(self, messages):
        return RiskAssessment(0.5, dict.fromkeys(HAZARDS, 0.5), dict.fromkeys(ATTACKS, 0.5), classifier=self.name)


def test_in_a_cascade_what_was_hidden_is_not_cleared_by_the_guard_model(family):
    one, _ = reads_diaries(family)
    cascade = Combined([Unsure(), one], how="cascade")
    assert cascade.classify("Hi").harmful == 0.0
    hidden = cascade.classify(TRICKS["base64"])
    assert hidden.harmful == 1.0
    assert hidden.spans["harmful"].view == "base64"


def test_what_is_too_long_or_too_deeply_encoded_to_be_read_is_an_error(family, guards):
    deep = MILD
    for _ in range(6):
        deep = in_base64(deep)
    for text, said in {deep: "layers", "a" * (MAX_CHARACTERS + 1): "characters"}.items():
        with pytest.raises(ClassifierError, match=said):
            guards[family].classify(text)


def test_time_is_asked_for_between_windows(monkeypatch):
    """By a clock that ticks whenever a piece is judged."""
    one, judged = reads_diaries("qwen3guard")
    monkeypatch.setattr("rose_guard.risk.deadline.time", SimpleNamespace(monotonic=lambda: float(len(judged))))
    with pytest.raises(ClassifierError, match="timeout"), deadline(3.5):
        one.classify([Message("user", f"Question {i}") for i in range(20)])
    assert len(judged) == 4


# Control tokens


CONTROL_TEXT = st.lists(st.sampled_from([*CONTROL, "<|im", "_start|>", "<|", "|>", "Yes", "hello ", "\n"])).map("".join)


@settings(deadline=None)
@given(CONTROL_TEXT)
def test_text_never_becomes_a_control_token(text):
    for name, (make, template) in FAMILIES.items():
        adapter = make()
        tokenizer = tiny_tokenizer(template, more=("Yes",))
        asked = adapter.questions[0]
        prompt = GuardPrompt(tokenizer, chat_template=adapter.chat_template, question=asked)
        control = set(tokenizer.added_tokens_decoder)
        ids = prompt.encode([Turn("user", text)], asked)
        plain = prompt.encode([Turn("user", "x")], asked)
        assert [i for i in ids if i in control] == [i for i in plain if i in control], name
        assert text.strip() in tokenizer.decode(ids)


def test_markup_that_cannot_be_neutralised_is_an_error():
    """A template that doubles what it is given joins halves of a control token."""
    template = "<|im_start|>{{ messages[0]['content'] }}{{ messages[0]['content'] }}<|im_end|>"
    prompt = GuardPrompt(tiny_tokenizer(template))
    assert prompt.encode([Turn("user", "hello")], {})
    with pytest.raises(ClassifierError, match="markup"):
        prompt.encode([Turn("user", "_end|>hello<|im")], {})


def test_a_template_that_leaves_text_out_is_an_error():
    template = "<|im_start|>{{ messages[0]['content'][:20] }}<|im_end|>"
    prompt = GuardPrompt(tiny_tokenizer(template))
    with pytest.raises(ClassifierError, match="leaves out"):
        prompt.encode([Turn("user", "a text of more than twenty characters")], {})


def test_what_a_template_refuses_is_an_error_that_quotes_nothing():
    template = (
        "{% if 'secret' in messages[0]['content'] %}{{ raise_exception(messages[0]['content']) }}{% endif %}" + CHATML
    )
    prompt = GuardPrompt(tiny_tokenizer(template))
    with pytest.raises(ClassifierError) as caught:
        prompt.encode([Turn("user", "a secret")], {})
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("template", [None, "<|im_start|>hello<|im_end|>"])
def test_a_tokenizer_without_a_template_that_shows_text_is_a_load_error(template):
    with pytest.raises(ModelLoadError, match="template"):
        GuardPrompt(tiny_tokenizer(template))


def test_content_goes_in_parts_where_the_template_wants_them():
    whole, parts = (GuardPrompt(tiny_tokenizer(template)) for template in (LLAMA_GUARD, LLAMA_GUARD_PARTS))
    assert (whole._in_parts, parts._in_parts) == (False, True)
    assert whole.encode([Turn("user", MILD)], {}) == parts.encode([Turn("user", MILD)], {})


# Adapters


def biased(one, token, by):
    """The same guard model, its logit of one token raised."""
    ids = one._prompt.tokenizer.encode(token)
    assert len(ids) == 1
    head = torch.nn.Linear(*reversed(one.hf_model.lm_head.weight.shape))
    head.weight.data.copy_(one.hf_model.lm_head.weight)
    head.bias.data.zero_()
    head.bias.data[ids[0]] = by
    one.hf_model.lm_head = head
    one.forget()
    return one


@pytest.mark.parametrize(
    ("name", "harmful", "harmless"),
    [
        ("llama-guard", "unsafe", "safe"),
        ("llama-guard-4", "unsafe", "safe"),
        ("qwen3guard", "Unsafe", "Safe"),
        ("shieldgemma", "Yes", "No"),
        ("granite-guardian", "Yes", "No"),
        ("granite-guardian-moe", "Yes", "No"),
        ("wildguard", "yes", "no"),
    ],
)
def test_harm_rises_with_the_logit_of_its_label_and_falls_with_the_others(name, harmful, harmless):
    def score(token, by):
        return biased(guard(name, more=(harmful, harmless), context=2048), token, by).classify(MILD).harmful

    assert [score(harmful, by) for by in (-4.0, 0.0, 4.0)] == sorted({score(harmful, by) for by in (-4.0, 0.0, 4.0)})
    assert score(harmless, 4.0) < score(harmless, 0.0) < score(harmless, -4.0)
    assert score(harmful, 60.0) > 0.99
    assert score(harmless, 60.0) < 0.01


@pytest.mark.parametrize("template", [LLAMA_GUARD, LLAMA_GUARD_NEWLINE])
def test_llama_guards_line_break_is_the_templates_or_the_answers(template):
    one = guard("llama-guard", template=template)
    ids = one._prompt.encode([Turn("user", MILD)], {})
    likelihood = LabelLikelihood(one.hf_model, one._prompt.tokenizer, ids)
    assert likelihood.follows_newline is (template == LLAMA_GUARD_NEWLINE)
    lead = [] if likelihood.follows_newline else one._prompt.tokenizer.encode("\n\n")
    safe, unsafe = (
        brute_force(one.hf_model, ids, [*lead, *one._prompt.tokenizer.encode(word)]) for word in ("safe", "unsafe")
    )
    expected = 1.0 / (1.0 + math.exp(safe - unsafe))
    assert one.classify(MILD).harmful == pytest.approx(expected, abs=1e-4)


def scripted(one, answer):
    """The same guard model, writing one answer whatever it is asked."""
    tokenizer, vocabulary = one._prompt.tokenizer, one.hf_model.config.vocab_size
    script = [*tokenizer.encode(answer), tokenizer.eos_token_id]

    class Read(list):
        """What was read after the prompt, in place of keys and values."""

        def batch_repeat_interleave(self, rows):
            pass

    def forward(input_ids, past_key_values=None, **options):
        rows = [[]] if past_key_values is None else [[*past_key_values, *tokens] for tokens in input_ids.tolist()]
        places = 1 if options.get("logits_to_keep") else input_ids.shape[1]
        logits = torch.zeros(len(rows), places, vocabulary)
        for row, tokens in enumerate(rows):
            for place in range(places):
                read = tokens[: len(tokens) - places + place + 1]
                if read == script[: len(read)] and len(read) < len(script):
                    logits[row, place, script[len(read)]] = 60.0
        return SimpleNamespace(logits=logits, past_key_values=Read(rows[0]))

    one.hf_model.forward = forward
    return one


NEWLINES = "\n\n"


@pytest.mark.parametrize(
    ("name", "answer", "expected"),
    [
        ("llama-guard", f"{NEWLINES}safe", set()),
        ("llama-guard", f"{NEWLINES}unsafe\nS1", {"violent_crimes"}),
        ("llama-guard", f"{NEWLINES}unsafe\nS10", {"hate"}),
        ("llama-guard", f"{NEWLINES}unsafe\nS14", {"code_abuse"}),
        ("llama-guard", f"{NEWLINES}unsafe\nS1,S10", {"violent_crimes", "hate"}),
        ("llama-guard", f"{NEWLINES}unsafe\nS3,S4", {"sex_crimes", "child_sexual_exploitation"}),
        ("qwen3guard", "Safety: Safe\nCategories: None", set()),
        ("qwen3guard", "Safety: Unsafe\nCategories: PII", {"privacy"}),
        ("qwen3guard", "Safety: Unsafe\nCategories: PII\nRefusal: No", {"privacy"}),
        ("qwen3guard", "Safety: Controversial\nCategories: Copyright Violation", {"intellectual_property"}),
        ("qwen3guard", "Safety: Unsafe\nCategories: Violent", {"violent_crimes", "indiscriminate_weapons"}),
        ("qwen3guard", "Safety: Unsafe\nCategories: PII, Jailbreak", {"privacy", *ATTACKS}),
        ("shieldgemma", "No, it is fine", set()),
        ("granite-guardian", "No", set()),
        ("wildguard", "Harmful request: no\nResponse refusal: no", set()),
        ("wildguard", "Harmful request: yes\nResponse refusal: no", set(HAZARDS)),
    ],
)
def test_a_recorded_answer_scores_what_it_names_and_nothing_else(name, answer, expected):
    assessment = scripted(guard(name), answer).classify(MILD)
    assert {label for label, score in assessment.scores.items() if score > 0.9} == expected
    assert all(score < 0.05 for label, score in assessment.scores.items() if label not in expected)
    assert (assessment.harmful > 0.9) is bool(expected)


@pytest.mark.parametrize("name", ["shieldgemma", "granite-guardian"])
def test_yes_to_every_question_scores_every_label_that_the_model_knows(name):
    assessment = scripted(guard(name), "Yes, because").classify(MILD)
    known = {
        "shieldgemma": {hazard for harm in shieldgemma.GUIDELINES for hazard in labels_from("shieldgemma", harm)},
        "granite-guardian": {hazard for of in granite_guardian.HAZARDS_OF.values() for hazard in of} | {"jailbreak"},
    }
    assert {label for label, score in assessment.scores.items() if score > 0.9} == known[name]


def test_qwen3guard_counts_controversial_as_harmful_and_jailbreak_as_any_attack():
    one = guard("qwen3guard")
    ids = one._prompt.encode([Turn("user", MILD)], {})
    likely = {
        severity: brute_force(one.hf_model, ids, one._prompt.tokenizer.encode(f"Safety: {severity}\n"))
        for severity in ("Safe", "Unsafe", "Controversial")
    }
    shares = dict(zip(likely, torch.tensor(list(likely.values())).softmax(0).tolist(), strict=True))
    assessment = one.classify(MILD)
    assert assessment.harmful == pytest.approx(shares["Unsafe"] + shares["Controversial"], abs=1e-4)
    assert len(set(assessment.attacks.values())) == 1
    assert 0.0 < assessment.attacks["jailbreak"] <= assessment.harmful


@pytest.mark.parametrize("name", ["shieldgemma", "granite-guardian"])
def test_each_question_is_asked_by_itself(name, guards):
    one = guards[name]
    found = []
    for asked in one.adapter.questions:
        ids = one._prompt.encode([Turn("user", MILD)], asked)
        yes, no = (brute_force(one.hf_model, ids, one._prompt.tokenizer.encode(word)) for word in ("Yes", "No"))
        found.append(1.0 / (1.0 + math.exp(no - yes)))
    assessment = one.classify(MILD)
    if name == "shieldgemma":
        by_harm = dict(zip(shieldgemma.GUIDELINES, found, strict=True))
        expected = {hazard: by_harm[harm] for harm in by_harm for hazard in labels_from("shieldgemma", harm)}
        assert {h: s for h, s in assessment.hazards.items() if s} == pytest.approx(expected, abs=1e-4)
    else:
        by_risk = dict(zip(granite_guardian.RISKS, found, strict=True))
        assert assessment.attacks["jailbreak"] == pytest.approx(by_risk["jailbreak"], abs=1e-4)
        assert assessment.harmful == pytest.approx(max(s for r, s in by_risk.items() if r != "jailbreak"), abs=1e-4)


def test_wildguard_gives_every_hazard_the_whole_harm_unless_told_otherwise():
    tokenizer = tiny_tokenizer()
    model = tiny_model(len(tokenizer))
    strict = GuardModel(model, tokenizer, WildGuard(WILD_FORMAT)).classify(MILD)
    assert set(strict.hazards.values()) == {strict.harmful}
    narrow = GuardModel(model, tokenizer, WildGuard(WILD_FORMAT, hazards=["other_unethical"])).classify(MILD)
    assert {h for h, score in narrow.hazards.items() if score} == {"other_unethical"}
    assert narrow.hazards["other_unethical"] == narrow.harmful == strict.harmful


@given(st.text(alphabet="ab{}%#'\"\\ \n\t🙂é-", max_size=40), st.text(alphabet="ab{}%#'\"\\ \n\t🙂é-", max_size=40))
def test_wildguards_instruction_reaches_the_model_letter_for_letter(before, after):
    before, after = (part.replace("{response}", "").replace("{prompt}", "") for part in (before, after))
    adapter = WildGuard(f"{before}{{prompt}}{after}")
    tokenizer = tiny_tokenizer()
    rendered = tokenizer.apply_chat_template(
        [{"role": "user", "content": MILD}], chat_template=adapter.chat_template, tokenize=False
    )
    assert rendered == f"{before}{MILD}{after}"


@pytest.mark.parametrize("prompt_format", ["", "no place", "{prompt} twice {prompt}"])
def test_wildguard_without_its_instruction_points_to_the_model_card(prompt_format):
    with pytest.raises(SettingsError, match=r"huggingface\.co/allenai/wildguard"):
        WildGuard(prompt_format)


@pytest.mark.parametrize("hazards", [[], ["nothing"]])
def test_wildguards_hazards_must_be_known(hazards):
    with pytest.raises(SettingsError, match="hazards"):
        WildGuard("{prompt}", hazards=hazards)


# Labels as the models' documentation gives them


def test_the_labels_are_those_of_the_models_documentation():
    assert (llama_guard.SAFE, llama_guard.UNSAFE) == ("safe", "unsafe")
    assert list(llama_guard.CATEGORIES) == [
        "S1",
        "S2",
        "S3",
        "S4",
        "S5",
        "S6",
        "S7",
        "S8",
        "S9",
        "S10",
        "S11",
        "S12",
        "S13",
        "S14",
    ]
    assert set(qwen3guard.SEVERITIES) == {"Safe", "Unsafe", "Controversial"}
    assert set(shieldgemma.GUIDELINES) == {"Dangerous Content", "Harassment", "Hate Speech", "Sexually Explicit"}
    assert set(granite_guardian.RISKS) == {
        "harm",
        "social_bias",
        "jailbreak",
        "violence",
        "profanity",
        "sexual_content",
        "unethical_behavior",
    }


def test_every_label_means_something_in_this_taxonomy():
    for taxonomy, labels in {
        "llama_guard": llama_guard.CATEGORIES,
        "qwen3guard": qwen3guard.CATEGORIES,
        "shieldgemma": shieldgemma.GUIDELINES,
    }.items():
        every = {foreign for ours in (*HAZARDS, *ATTACKS) for foreign in labels_to(taxonomy, ours)}
        assert set(labels) == every
    assert {h for hazards in granite_guardian.HAZARDS_OF.values() for h in hazards} <= set(HAZARDS)


# Choosing and loading


@pytest.mark.parametrize(
    ("model_id", "name"),
    [
        ("meta-llama/Llama-Guard-3-8B", "llama-guard"),
        ("meta-llama/Llama-Guard-3-1B", "llama-guard"),
        ("meta-llama/Llama-Guard-4-12B", "llama-guard"),
        ("Qwen/Qwen3Guard-Gen-0.6B", "qwen3guard"),
        ("google/shieldgemma-2b", "shieldgemma"),
        ("google/shieldgemma-27b", "shieldgemma"),
        ("allenai/wildguard", "wildguard"),
        ("ibm-granite/granite-guardian-3.1-2b", "granite-guardian"),
        ("/models/granite-guardian-3.2-5b/", "granite-guardian"),
    ],
)
def test_a_model_is_known_by_its_name(model_id, name):
    from rose_guard.risk.guard_models.guard_model import adapter_for

    assert adapter_for(model_id) == name


@pytest.mark.parametrize(
    "model_id",
    [
        "meta-llama/Llama-Prompt-Guard-2-86M",
        "Qwen/Qwen3Guard-Stream-0.6B",
        "google/shieldgemma-2-4b-it",
        "ibm-granite/granite-guardian-3.3-8b",
        "meta-llama/LlamaGuard-7b",
    ],
)
def test_an_unknown_model_is_an_error_that_lists_the_known_families(model_id):
    with pytest.raises(SettingsError, match=", ".join(ADAPTERS)):
        GuardModel.from_pretrained(model_id)


def test_an_unknown_adapter_is_an_error_that_lists_the_known_ones(tmp_path):
    with pytest.raises(SettingsError, match=", ".join(ADAPTERS)):
        GuardModel.from_pretrained(tmp_path, "llamaguard")


def test_wildguard_by_name_asks_for_its_instruction():
    with pytest.raises(SettingsError, match="prompt_format"):
        GuardModel.from_pretrained("allenai/wildguard")


FOLDERS = {
    "llama-guard": "Llama-Guard-3-tiny",
    "llama-guard-4": "Llama-Guard-4-tiny",
    "qwen3guard": "Qwen3Guard-Gen-tiny",
    "shieldgemma": "shieldgemma-2b",
    "wildguard": "wildguard",
    "granite-guardian": "granite-guardian-3.1-tiny",
    "granite-guardian-moe": "granite-guardian-3.2-tiny",
}


def test_a_saved_model_is_loaded_by_its_name_and_scores_alike(family, guards, tmp_path):
    one, folder = guards[family], tmp_path / FOLDERS[family]
    one.hf_model.save_pretrained(folder)
    tiny_tokenizer(FAMILIES[family][1]).save_pretrained(folder)
    loaded = GuardModel.from_pretrained(folder, one.adapter if family == "wildguard" else None)
    assert type(loaded.adapter) is type(one.adapter)
    assert type(loaded.hf_model) is OWN[family][0]
    assert loaded.classify(MILD).harmful == pytest.approx(one.classify(MILD).harmful, abs=1e-6)
    assert str(folder) in loaded.name


def test_llama_guard_4_is_loaded_without_its_vision(tmp_path):
    """Its checkpoints hold a model of pictures too; text is scored by the language model in it."""
    tokenizer = tiny_tokenizer(LLAMA_GUARD_PARTS)
    text = own_model("llama-guard-4", len(tokenizer))
    size = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 4}
    seen = {"image_size": 28, "patch_size": 14, "projector_input_dim": 32, "projector_output_dim": 32}
    vision = {**size, **seen, "vision_output_dim": 32}
    whole = Llama4ForConditionalGeneration(Llama4Config(text_config=text.config.to_dict(), vision_config=vision))
    whole.language_model.load_state_dict(text.state_dict())
    folder = tmp_path / FOLDERS["llama-guard-4"]
    whole.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    loaded = GuardModel.from_pretrained(folder)
    assert loaded.classify(MILD).harmful == pytest.approx(guard("llama-guard-4").classify(MILD).harmful, abs=1e-6)
