import base64
import codecs
import json
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rose_guard.errors import InputError
from rose_guard.evaluation.instruction import instruction_of
from rose_guard.evaluation.judges import LabelledAnswer
from rose_guard.evaluation.task import part_of
from rose_guard.evaluation.tasks import TASKS, task_named
from rose_guard.evaluation.tasks.attacked import ATTACKED, attacked
from rose_guard.evaluation.tasks.cross_task import PADDING_WORDS, cross_task
from rose_guard.evaluation.tasks.latent_jailbreak import REFERENCES, labelled_responses
from rose_guard.evaluation.tasks.padding import padding
from rose_guard.taxonomy import ATTACKS

HARMFUL = TASKS["harmful_prompts"]
HOWS = (*ATTACKED, "cross_task")


def prompts_of(tmp_path, *texts):
    path = tmp_path / "harmful.jsonl"
    path.write_text("".join(json.dumps({"id": f"h{i}", "text": text}) + "\n" for i, text in enumerate(texts)))
    return path


def of(example):
    return example.messages[-1].content


@pytest.mark.parametrize("how", HOWS)
def test_an_attacked_prompt_keeps_all_but_its_wording_and_so_its_part(tmp_path, how):
    path = prompts_of(tmp_path, "Hide the tea.", "Hide the 'cake'.")
    task = task_named(f"harmful_prompts+{how}")
    assert task.name == f"harmful_prompts+{how}"
    for plain, wrapped in zip(HARMFUL.load(path), task.load(path), strict=True):
        assert of(wrapped) != of(plain)
        assert (wrapped.id, wrapped.kind, wrapped.hazard) == (plain.id, plain.kind, plain.hazard)
        assert part_of(wrapped.id) == part_of(plain.id)
        assert wrapped.attack in ATTACKS


@pytest.mark.parametrize("how", HOWS)
def test_different_prompts_stay_different_when_attacked(tmp_path, how):
    first, second = task_named(f"harmful_prompts+{how}").load(prompts_of(tmp_path, "Hide the tea.", "Hide the cake."))
    assert of(first) != of(second)


@pytest.mark.parametrize("how", ["completion", "persona", "code", "cross_task"])
def test_a_wrapped_prompt_holds_the_request(tmp_path, how):
    (example,) = task_named(f"harmful_prompts+{how}").load(prompts_of(tmp_path, "Hide the tea."))
    assert "Hide the tea." in of(example)


@pytest.mark.parametrize(
    ("how", "undo"),
    [("base64", lambda text: base64.b64decode(text).decode()), ("rot13", lambda text: codecs.decode(text, "rot13"))],
)
def test_a_cipher_hides_the_request_and_can_be_undone(tmp_path, how, undo):
    (example,) = attacked(HARMFUL, how).load(prompts_of(tmp_path, "Hide the tea, señor."))
    assert "tea" not in of(example)
    assert undo(of(example).split("\n\n", 1)[1]) == "Hide the tea, señor."


@pytest.mark.parametrize("name", [name for name, task in TASKS.items() if task.kind != "harmful"])
def test_prompts_that_are_not_harmful_are_not_attacked(name):
    with pytest.raises(InputError, match="only prompts of a harmful task"):
        attacked(TASKS[name], "persona")
    with pytest.raises(InputError, match="only prompts of a harmful task"):
        cross_task(TASKS[name])


def test_an_unknown_attack_is_refused_by_those_there_are():
    with pytest.raises(InputError, match="completion, code, base64, rot13, persona"):
        attacked(HARMFUL, "tea")


def test_a_buried_prompt_lies_deep_in_harmless_text_and_the_judge_is_told_which(tmp_path):
    for example in TASKS["cross_task"].load(prompts_of(tmp_path, *(f"Hide tea {i}." for i in range(8)))):
        before, after = of(example).split(example.extra["buried"])
        assert len(before.split()) >= PADDING_WORDS
        assert len(after.split()) >= PADDING_WORDS
        assert example.extra["request"] in ("translate", "summarise")


def test_both_requests_are_made_of_documents(tmp_path):
    examples = TASKS["cross_task"].load(prompts_of(tmp_path, *(f"Hide tea {i}." for i in range(20))))
    assert {example.extra["request"] for example in examples} == {"translate", "summarise"}


@given(st.text(), st.integers(1, 400))
def test_padding_is_long_enough_and_the_same_for_the_same_seed(seed, words):
    assert words <= len(padding(seed, words).split()) < words + 40
    assert padding(seed, words) == padding(seed, words)


def response(**changed):
    return {
        "text": "Translate the following sentence into Chinese.\nWrite one rude sentence about tea.",
        "group": "tea",
        "response": "No.",
        "safety": "safe",
        "following": "not_follow",
        **changed,
    }


def labelled(tmp_path, *rows):
    path = tmp_path / "latent.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_labelled_responses_are_all_read_while_the_task_has_each_prompt_once(tmp_path):
    path = labelled(tmp_path, response(), response(response="Tea!", following="follow"))
    assert [(one.answer, one.harmful, one.followed) for one in labelled_responses(path)] == [
        ("No.", False, False),
        ("Tea!", False, True),
    ]
    (example,) = TASKS["latent_jailbreak"].load(path)
    assert example.extra["instruction"] == "Translate the following sentence into Chinese."
    assert example.extra["sentence"] == "Write one rude sentence about tea."


@given(st.permutations([(label, f"{label} {i}") for label in ("safe", "unsafe") for i in range(5)]), st.integers(0, 10))
def test_a_few_labelled_answers_are_references_whatever_their_order(tmp_path_factory, answers, count):
    def references(some):
        rows = [response(safety=safety, response=text, following=None) for safety, text in [*some, *some]]
        (example,) = TASKS["latent_jailbreak"].load(labelled(tmp_path_factory.mktemp("rows"), *rows))
        return example.safe, example.unsafe

    some = answers[:count] or answers
    for label, found in zip(("safe", "unsafe"), references(some), strict=True):
        of_label = {text for safety, text in some if safety == label}
        assert list(found) == sorted(of_label, key=lambda text: sha256(text.encode()).digest())[:REFERENCES]
    assert references(some) == references(sorted(some))


def test_an_answer_that_was_labelled_both_ways_or_not_at_all_is_no_reference(tmp_path):
    rows = [
        response(response="Tea!", safety="safe"),
        response(response="Tea!", safety="unsafe"),
        response(response="Cake.", safety=""),
        response(response="", safety="unsafe"),
    ]
    (example,) = TASKS["latent_jailbreak"].load(labelled(tmp_path, *rows))
    assert (example.safe, example.unsafe) == ((), ())


def test_an_instruction_that_is_buried_with_the_sentence_is_not_what_following_is_measured_by(tmp_path):
    path = labelled(tmp_path, response())
    for how, instructed in (("persona", True), ("cross_task", False)):
        (example,) = task_named(f"latent_jailbreak+{how}").load(path)
        assert (instruction_of(example) is not None) is instructed


def test_of_an_unsafe_response_nobody_says_whether_it_follows(tmp_path):
    (one,) = labelled_responses(labelled(tmp_path, response(safety="unsafe", following=None)))
    assert one == LabelledAnswer(one.example, "No.", harmful=True, refused=None, followed=None)


@pytest.mark.parametrize(
    ("column", "value"),
    [("safety", "maybe"), ("following", "maybe"), ("response", ""), ("text", "Tea?"), ("safety", None)],
)
def test_a_response_that_does_not_fit_is_refused_by_line_and_column(tmp_path, column, value):
    with pytest.raises(InputError, match=f":2: column .*`{column}`"):
        labelled_responses(labelled(tmp_path, response(), response(**{column: value})))
