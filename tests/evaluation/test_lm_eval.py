"""Laws of the harness's model, on toy tasks of our own and a tiny random model; nothing is downloaded."""

import json
import os
import sys
from importlib import import_module
from types import SimpleNamespace

import pytest
import torch

from rose_guard.decoding.settings import RoseSettings
from rose_guard.engines.engine import Delta, TokenLogprob
from rose_guard.engines.transformers import TransformersEngine
from rose_guard.errors import ContextLengthError, InputError, ModelLoadError, SettingsError
from rose_guard.evaluation.arms import ARMS, arms_named
from rose_guard.evaluation.likelihood import PLAIN, Likelihoods
from rose_guard.message import Message
from rose_guard.policy import Policy
from tests.guard.fakes import FakeAnswerClassifier, FakeClassifier, FakeEngine
from tests.tiny import tiny_model

os.environ["HF_DATASETS_OFFLINE"] = "1"
pytest.importorskip("lm_eval", reason="the extra lm-eval is not installed")
pytestmark = pytest.mark.filterwarnings("ignore")  # the harness and what it loads warn of themselves


lm_eval_model = import_module("rose_guard.evaluation.lm_eval_model")
NAME, RoseGuardLM = lm_eval_model.NAME, lm_eval_model.RoseGuardLM

CHOICES = [
    {"question": "Which animal barks?", "choices": ["dog", "cat", "fish"], "label": 0},
    {"question": "What is two plus two?", "choices": ["five", "four"], "label": 1},
    {"question": "Which one is a river?", "choices": ["Danube", "Everest", "Sahara", "Ohm"], "label": 0},
]
CHOICE_TASK = """
task: toy_choice
dataset_path: json
dataset_kwargs: {{data_files: {{test: "{folder}/choices.jsonl"}}, cache_dir: "{folder}/cache"}}
output_type: multiple_choice
test_split: test
description: "Answer in a word."
doc_to_text: "{{{{question}}}}"
doc_to_choice: "{{{{choices}}}}"
doc_to_target: label
metric_list: [{{metric: acc}}]
"""
TEXT_TASK = """
task: toy_text
dataset_path: json
dataset_kwargs: {{data_files: {{test: "{folder}/choices.jsonl"}}, cache_dir: "{folder}/cache"}}
output_type: generate_until
test_split: test
doc_to_text: "{{{{question}}}}"
doc_to_target: "{{{{choices[label]}}}}"
generation_kwargs: {{until: ["three"], max_gen_toks: 6, do_sample: false}}
metric_list: [{{metric: exact_match}}]
"""
ASKED = [("Why?", " yes"), ("Which animal barks?", "dog"), ("Why?", " no, never"), ("Why?", " yes")]


def request(*args):
    return SimpleNamespace(args=args)


def lm(arm="plain", engine=None, *, answers=None, scores=None, **how):
    arm = ARMS[arm] if isinstance(arm, str) else arm
    classifier = FakeClassifier(**(scores or {}))
    answers = answers or FakeAnswerClassifier()
    return RoseGuardLM(arm, engine or FakeEngine(), classifier=classifier, answer_classifier=answers, **how)


def pairs(model, asked=ASKED):
    return model.loglikelihood([request(*pair) for pair in asked])


def close(one, other):
    return [total for total, _ in one] == pytest.approx([total for total, _ in other], abs=1e-3)


@pytest.fixture
def evaluated(tmp_path):
    """Runs the harness on the toy tasks."""
    from lm_eval import simple_evaluate
    from lm_eval.tasks import TaskManager

    (tmp_path / "choices.jsonl").write_text("".join(json.dumps(row) + "\n" for row in CHOICES))
    for name, task in (("choice", CHOICE_TASK), ("text", TEXT_TASK)):
        (tmp_path / f"{name}.yaml").write_text(task.format(folder=tmp_path))
    manager = TaskManager(include_path=str(tmp_path), include_defaults=False)

    def run(model, task, **how):
        return simple_evaluate(model=model, tasks=[task], task_manager=manager, bootstrap_iters=0, **how)

    return run


def test_the_harness_scores_choices_as_a_direct_computation_does(tiny_engine, evaluated):
    results = evaluated(lm("plain", tiny_engine), "toy_choice", apply_chat_template=True)
    direct = Likelihoods(tiny_engine)
    right = 0
    for row, sample in zip(CHOICES, results["samples"]["toy_choice"], strict=True):
        asked = (Message("system", "Answer in a word."), Message("user", row["question"]))
        expected = [one.total for one in direct.of(asked, None, (), PLAIN, row["choices"])]
        assert [float(resp[0][0]) for resp in sample["resps"]] == pytest.approx(expected, abs=1e-3)
        right += max(range(len(expected)), key=expected.__getitem__) == row["label"]
    assert results["results"]["toy_choice"]["acc,none"] == pytest.approx(right / len(CHOICES))


def test_the_harness_takes_answers_up_to_the_tasks_stop_strings_and_limit(evaluated):
    engine = FakeEngine("one two three")
    results = evaluated(lm("rose_manual", engine), "toy_text", apply_chat_template=True)
    assert [sample["resps"] for sample in results["samples"]["toy_text"]] == [[["one two "]]] * len(CHOICES)
    assert {(asked.stop, asked.max_new_tokens) for asked in engine.requests} == {(("three",), 6)}
    assert {asked.messages for asked in engine.requests} == {(Message("user", row["question"]),) for row in CHOICES}
    told = results["config"]["rose_guard"]
    assert (told["arm"], told["model"], told["outcomes"]) == ("rose_manual", "fake", {"steer": len(CHOICES)})
    assert ARMS["rose_manual"].reverse not in json.dumps(results["config"], default=str)


def test_the_harness_finds_the_model_by_its_name(evaluated):
    how = {"model_args": {"arm": ARMS["plain"], "engine": FakeEngine("four")}, "batch_size": 2}
    assert evaluated(NAME, "toy_text", **how)["results"]["toy_text"]["exact_match,none"] == pytest.approx(1 / 3)
    with pytest.raises(NotImplementedError, match="pass them in Python"):
        evaluated(NAME, "toy_text", model_args="arm=plain")


@pytest.mark.parametrize("arm", ["plain", "safe_prompt", "rose_manual", "policy_gated"])
def test_likelihoods_are_the_arms_own_in_the_order_of_the_requests(roomy_engine, arm):
    found = pairs(lm(arm, roomy_engine, scores={"hate": 0.9}))
    asked = {context: _request(arm, context) for context, _ in ASKED}
    direct = Likelihoods(roomy_engine)
    expected = [
        direct.of(how.messages, how.safe_prompt, how.reverse_prompts, how.settings, [text])[0].total
        for how, text in ((asked[context], text) for context, text in ASKED)
    ]
    assert [total for total, _ in found] == pytest.approx(expected, abs=1e-3)
    assert found[0] == found[3]


def _request(arm, context):
    engine = FakeEngine()
    lm(arm, engine, scores={"hate": 0.9}).generate_until([request(context, {})])
    return engine.requests[0]


@pytest.mark.parametrize("arm", ["plain", "rose_manual"])
def test_results_are_the_same_batched_or_not(roomy_engine, arm):
    alone, together = (lm(arm, roomy_engine, batch_size=size) for size in (1, 8))
    assert close(pairs(alone), pairs(together))
    assert [greedy for _, greedy in pairs(alone)] == [greedy for _, greedy in pairs(together)]
    asked = [request(f"{question}?", {"max_gen_toks": 5 + i % 2}) for i, question in enumerate(["Why", "Who", "How"])]
    assert alone.generate_until(asked) == together.generate_until(asked)


class Spelling(FakeEngine):
    """Holds a model, as far as anyone asks; tokens are characters, and its greedy answer is given."""

    hf_model = None
    hf_tokenizer = SimpleNamespace(decode=lambda ids: "".join(map(chr, ids)))

    def _deltas(self, request, answer):
        assert (request.settings.temperature, request.settings.repetition_penalty) == (0.0, 1.0)
        for char in answer[: request.max_new_tokens]:
            yield Delta(char, logprobs=(TokenLogprob(char, -1.0),), tokens=1)
        yield Delta("", "length")


@pytest.mark.parametrize(
    ("continuation", "greedy"), [("yes", True), ("yes, all", True), ("ye", True), ("yesterday", False), ("no", False)]
)
def test_a_continuation_is_greedy_exactly_where_the_greedy_answer_begins_with_it(monkeypatch, continuation, greedy):
    model = lm("plain", Spelling("yes, all of it"))
    monkeypatch.setattr(model._likelihoods, "of", lambda *asked: [SimpleNamespace(total=-1.0) for _ in asked[-1]])
    assert pairs(model, [("Why?", continuation), ("Why?", "other words")])[0] == (-1.0, greedy)


def test_a_word_that_begins_another_one_is_not_greedy_for_it(monkeypatch):
    class Whole(Spelling):
        def _deltas(self, request, answer):
            yield Delta(answer, "length", logprobs=(TokenLogprob(answer, -1.0),), tokens=1)

    model = lm("plain", Whole("yesterday"))
    monkeypatch.setattr(model._likelihoods, "of", lambda *asked: [SimpleNamespace(total=-1.0) for _ in asked[-1]])
    monkeypatch.setattr(model, "_token_texts", lambda text: [text])
    assert pairs(model, [("When?", "yes"), ("When?", "yesterday")]) == [(-1.0, False), (-1.0, True)]


def test_what_looks_alike_token_by_token_is_greedy_only_where_it_reads_alike(monkeypatch):
    model = lm("plain", Spelling("é"))
    monkeypatch.setattr(model._likelihoods, "of", lambda *asked: [SimpleNamespace(total=-1.0) for _ in asked[-1]])
    monkeypatch.setattr(model, "_token_texts", lambda text: [*text.replace("à", "é")])
    assert pairs(model, [("Why?", "é"), ("Where?", "à")]) == [(-1.0, True), (-1.0, False)]


def test_the_tiny_models_own_greedy_answer_is_greedy_and_its_opposite_is_not(roomy_engine):
    model = lm("rose_manual", roomy_engine)
    questions = [f"{word}?" for word in ("Why", "Who", "How", "When", "Where", "Which")]
    said = model.generate_until([request(question, {"max_gen_toks": 3}) for question in questions])
    readable = [(question, text) for question, text in zip(questions, said, strict=True) if text.isascii() and text]
    assert readable
    assert all(greedy for _, greedy in pairs(model, readable))
    changed = [(question, ("b" if text[0] == "a" else "a") + text[1:]) for question, text in readable]
    assert not any(greedy for _, greedy in pairs(model, changed))


@pytest.mark.parametrize("context", [512, 40])
def test_rolling_likelihoods_are_a_direct_computations_in_windows_of_the_context(tokenizer, context):
    network = tiny_model(len(tokenizer), context=context)
    engine = TransformersEngine(network, tokenizer, model_id="rolling")
    text = "A river runs to the sea, and the sea takes it in; the rain brings it back."
    (found,) = lm("plain", engine).loglikelihood_rolling([request(text)])
    ids = [tokenizer.eos_token_id, *engine.token_ids(text)]
    total, size = 0.0, context - 1
    for place in range(1, len(ids)):
        end = min(-(-place // size) * size, len(ids) - 1)
        start = max(0, end - size) if end > size else 0
        with torch.inference_mode():
            logits = network(torch.tensor([ids[start:place]])).logits[0, -1]
        total += float(logits.log_softmax(-1)[ids[place]])
    assert found == pytest.approx(total, abs=1e-3)


def test_rolling_is_the_plain_models_alone(tiny_engine):
    for arm in ("safe_prompt", "rose_manual", "guard"):
        with pytest.raises(NotImplementedError, match="'plain'"):
            lm(arm, tiny_engine).loglikelihood_rolling([request("A river.")])


@pytest.mark.parametrize(("action", "said"), [("refuse", "refuse"), ("block", "block"), ("steer", "steer")])
def test_a_refusal_is_its_text_a_block_an_empty_one_and_the_results_count_both(action, said):
    (arm,) = arms_named(["guard"], Policy.from_yaml(f"version: 1\nhazards:\n  hate: {{action: {action}}}"))
    model = lm(arm, FakeEngine("the models words"), scores={"hate": 1.0})
    (text,) = model.generate_until([request("Why?", {})])
    assert model.get_model_info()["rose_guard"]["outcomes"] == {said: 1}
    assert (text == "the models words") == (action == "steer")
    assert (text == "") == (action == "block")


def test_where_the_arm_lets_no_model_answer_nothing_is_scored(tiny_engine):
    (arm,) = arms_named(["guard"], Policy.from_yaml("version: 1\nhazards:\n  hate: {action: refuse}"))
    with pytest.raises(NotImplementedError, match="2 of 2") as caught:
        pairs(lm(arm, tiny_engine, scores={"hate": 1.0}))
    assert "barks" not in str(caught.value)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"do_sample": False, "temperature": 0.7}, {"temperature": 0.0}),
        ({"temperature": 0.7, "top_p": 0.9}, {"temperature": 0.7, "top_p": 0.9}),
        ({"do_sample": True}, {"temperature": None}),
        ({"repetition_penalty": 1.2}, {"temperature": 0.0, "repetition_penalty": 1.2}),
    ],
    ids=str,
)
def test_a_tasks_settings_reach_the_engine(asked, expected):
    engine = FakeEngine()
    lm("plain", engine).generate_until([request("Why?", asked)])
    assert engine.requests[0].settings == RoseSettings(alpha=0.0, seed=0, **expected)


@pytest.mark.parametrize("name", ["max_gen_toks", "max_new_tokens", "max_tokens", "max_completion_tokens"])
def test_a_limit_has_several_names_and_a_stop_string_may_come_alone(name):
    engine = FakeEngine()
    lm("plain", engine).generate_until(
        [request("Why?", {name: 2, "until": "\n"}), request("Why?", {"until": ["", "x"]})]
    )
    assert {(asked.max_new_tokens, asked.stop) for asked in engine.requests} == {(2, ("\n",)), (256, ("x",))}


def test_the_same_answer_again_is_drawn_with_the_next_seed():
    engine = FakeEngine()
    asked = [request("Why?", {"do_sample": True}), request("Who?", {"do_sample": True})] * 2
    lm("plain", engine, seed=5).generate_until(asked)
    assert sorted((each.messages[0].content, each.settings.seed) for each in engine.requests) == [
        ("Who?", 5),
        ("Who?", 6),
        ("Why?", 5),
        ("Why?", 6),
    ]


def test_answers_keep_the_order_of_their_requests_whatever_their_settings():
    class Echo(FakeEngine):
        def stream(self, request):
            return self._deltas(request, request.messages[-1].content)

    asked = [request(f"q{i}", {"max_gen_toks": 1 + i % 3}) for i in range(7)]
    assert lm("plain", Echo(), batch_size=2).generate_until(asked) == [f"q{i}" for i in range(7)]


def test_a_rendered_conversation_is_read_as_its_turns_and_other_text_as_one():
    engine = FakeEngine()
    model = lm("plain", engine)
    turns = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": 'Say "hé".'}]
    model.generate_until([request(model.apply_chat_template(turns), {}), request(json.dumps(turns), {})])
    assert [asked.messages for asked in engine.requests] == [
        (Message("system", "Be brief."), Message("user", 'Say "hé".')),
        (Message("user", json.dumps(turns)),),
    ]
    with pytest.raises(InputError, match="changed a conversation"):
        model.generate_until([request(model.apply_chat_template(turns) + " And so?", {})])


def test_what_it_cannot_do_it_says_in_words(tiny_engine):
    model = lm("plain", tiny_engine)
    with pytest.raises(NotImplementedError, match="gen_prefix"):
        model.apply_chat_template([{"role": "assistant", "content": "So"}], add_generation_prompt=False)
    with pytest.raises(NotImplementedError, match="one chat template"):
        model.chat_template("other")
    with pytest.raises(NotImplementedError, match="blank"):
        pairs(model, [("", " yes")])
    with pytest.raises(NotImplementedError, match="num_beams"):
        model.generate_until([request("Why?", {"num_beams": 4})])
    with pytest.raises(NotImplementedError, match="images"):
        model.generate_until([request("Why?", {}, {"visual": []})])
    for arm, engine in (("cfg", tiny_engine), ("plain", FakeEngine())):
        with pytest.raises(NotImplementedError, match="likelihoods"):
            pairs(lm(arm, engine))


def test_its_template_and_names_are_the_engines(tiny_engine, tokenizer):
    model = lm("plain", tiny_engine)
    assert model.chat_template(chat_template=True) == tokenizer.chat_template
    assert model.tokenizer_name == tiny_engine.model_id
    assert lm("plain").chat_template(chat_template=True) == ""


def test_a_conversation_that_does_not_fit_ends_the_evaluation(tiny_engine):
    model = lm("plain", tiny_engine)
    with pytest.raises(ContextLengthError):
        model.generate_until([request("Why?", {"max_gen_toks": 2}), request("x" * 600, {"max_gen_toks": 2})])
    with pytest.raises(ContextLengthError):
        pairs(model, [("x" * 600, "yes")])


@pytest.mark.parametrize("wrong", [{"batch_size": 0}, {"max_gen_toks": 0}])
def test_sizes_are_checked(wrong):
    with pytest.raises(SettingsError, match="at least 1"):
        lm(**wrong)


def test_a_cache_answers_for_one_arm_alone(tmp_path, evaluated):
    cache, engine = str(tmp_path / "answers"), FakeEngine()
    evaluated(lm("plain", engine), "toy_text", use_cache=cache)
    evaluated(lm("plain", engine), "toy_text", use_cache=cache)
    assert len(engine.requests) == len(CHOICES)
    with pytest.raises(SettingsError, match="another arm"):
        evaluated(lm("rose_manual", engine), "toy_text", use_cache=cache)


def test_without_lm_eval_its_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "lm_eval.api.model", None)
    with pytest.raises(ModelLoadError, match=r"rose-guard\[lm-eval\]"):
        lm_eval_model._harness("api.model")
