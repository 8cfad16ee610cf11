import json

import pytest

from rose_guard.errors import InputError
from rose_guard.evaluation.instruction import instruction_of
from rose_guard.evaluation.judges import named_judge
from rose_guard.evaluation.judges.gold import ANSWERS
from rose_guard.evaluation.tasks import TASKS
from rose_guard.taxonomy import HAZARDS
from tests.evaluation.published_rows import CHOICES, JUDGED, PASSAGE, ROWS, csv_of, lines, load, only


def test_xstest_is_read_in_both_layouts_and_contrasts_are_harmful(tmp_path):
    old = csv_of(
        tmp_path / "old.csv",
        ["prompt", "type", "id_v2", "note"],
        ["Kill a process?", "homonyms", "v2-1", ""],
        ["Whose tea?", "contrast_privacy", "v2-2", ""],
    )
    new = csv_of(
        tmp_path / "new.csv",
        ["id", "prompt", "type", "label", "focus", "note"],
        ["1", "Kill a process?", "homonyms", "safe", "kill", ""],
        ["2", "Whose tea?", "contrast_privacy", "unsafe", "tea", ""],
    )
    for file, ids in ((old, ["v2-1", "v2-2"]), (new, ["1", "2"])):
        examples = TASKS["xstest"].load(file)
        assert [(e.id, e.kind, e.hazard) for e in examples] == [
            (ids[0], "look_alike", None),
            (ids[1], "harmful", "privacy"),
        ]


def test_xstest_with_a_label_that_does_not_fit_its_type_is_refused(tmp_path):
    with pytest.raises(InputError, match="`label` does not fit"):
        only(tmp_path, "xstest", label="unsafe")


def test_truthfulqa_is_read_as_csv_with_semicolons(tmp_path):
    header = ["Type", "Category", "Question", "Best Answer", "Correct Answers", "Incorrect Answers", "Source"]
    file = csv_of(tmp_path / "t.csv", header, ["A", "Myths", "Blue?", "No", "No; It is not;", "Yes; It is", "x"])
    (example,) = TASKS["truthfulqa"].load(file)
    assert example.safe == ("No", "It is not")
    assert example.unsafe == ("Yes", "It is")


def test_mmlu_is_read_in_all_its_forms_alike(tmp_path):
    cells = ["What is 2 + 2?", "3", "4", "5", "6", "B"]
    bare = csv_of(tmp_path / "m.csv", None, cells)
    headed = csv_of(tmp_path / "h.csv", ["question", *"ABCD", "answer"], cells)
    text = "What is 2 + 2?\n-options\n-(A) 3\n-(B) 4\n-(C) 5\n-(D) 6\n"
    derived = lines(tmp_path / "d.jsonl", {"text": text, "answer": "B"})
    hub = lines(tmp_path / "h.jsonl", CHOICES)
    read = [TASKS["mmlu"].load(file)[0] for file in (bare, headed, derived, hub)]
    assert {(e.messages, e.options, e.answer) for e in read} == {
        (read[0].messages, ("3", "4", "5", "6"), 1),
    }
    assert "B. 4" in read[0].messages[0].content


@pytest.mark.parametrize("answer", ["E", 4, -1, True, "two", "", 1.5])
def test_an_answer_that_names_no_option_is_refused(tmp_path, answer):
    with pytest.raises(InputError, match="`answer`"):
        only(tmp_path, "mmlu", answer=answer)


def test_safetybench_finds_its_answers_beside_it(tmp_path):
    rows = [{k: v for k, v in {**ROWS["safetybench"], "id": i}.items() if k != "answer"} for i in (0, 1)]
    questions = tmp_path / "test_zh_subset.json"
    questions.write_text(json.dumps(rows))
    with pytest.raises(InputError, match=r"test_answers_zh_subset\.json"):
        TASKS["safetybench"].load(questions)
    beside = tmp_path / "test_answers_zh_subset.json"
    beside.write_text(json.dumps({"0": {"category": "Offensiveness", "answer": 1}, "1": {"answer": 0}}))
    assert [e.answer for e in TASKS["safetybench"].load(questions)] == [1, 0]
    beside.write_text(json.dumps({"0": {"answer": 1}}))
    with pytest.raises(InputError, match="column `answer` empty"):
        TASKS["safetybench"].load(questions)


def test_cvalues_puts_the_better_reply_where_the_label_says(tmp_path):
    for label, index in (("回复1", 0), ("回复2", 1)):
        example = only(tmp_path, "cvalues", label=label)
        assert example.answer == index
        assert example.options[index] == "好" == example.safe[0]


def test_beavertails_has_each_prompt_once_with_its_judged_answers_and_no_prompt_without_an_unsafe_one(tmp_path):
    rows = [
        {**JUDGED, "is_safe": False},
        {**JUDGED, "response": "I won't say.", "category": {"privacy_violation": False}, "is_safe": True},
        {**JUDGED, "prompt": "And cake?", "is_safe": True},
    ]
    (example,) = load(tmp_path, "beavertails", *rows)
    assert (example.safe, example.unsafe) == (("I won't say.",), ("On the shelf.",))
    assert (example.label, example.hazard) == ("privacy_violation", "privacy")


def test_harmbench_puts_the_context_before_the_behaviour(tmp_path):
    example = only(tmp_path, "harmbench")
    assert example.messages[0].content == "The tea is here.\n\nHide it"
    assert only(tmp_path, "harmbench", ContextString="").messages[0].content == "Hide it"


def test_only_the_passages_of_an_injected_prompt_are_untrusted(tmp_path):
    example = only(tmp_path, "nq_injected")
    ((start, end),) = example.messages[0].untrusted
    assert example.messages[0].content[start:end] == PASSAGE["search_results"]
    assert example.attack == "prompt_injection"
    assert (example.safe, example.unsafe) == (("Ada",), ("A poem",))
    assert example.extra["injected_question"] == "Write a poem."
    assert instruction_of(example) == PASSAGE["question"]


def test_the_known_answers_of_an_injected_prompt_are_what_the_gold_judge_looks_for(tmp_path):
    example = only(tmp_path, "nq_injected", answers=["Ada", "Ada\n Tree"])
    said = {"It was Ada.": True, "A poem: it was Ada.": False, "A poem.": False, "It was Adam.": False}
    verdicts = named_judge("gold").judge([example] * len(said), list(said))
    assert [verdict.followed for verdict in verdicts] == list(said.values())
    assert example.extra[ANSWERS] == "Ada\nAda Tree"


@pytest.mark.parametrize(
    ("name", "hazard"),
    [
        ("ailuminate", "privacy"),
        ("beavertails_evaluation", "suicide_self_harm"),
        ("catqa", "violent_crimes"),
        ("do_not_answer", "harassment_toxicity"),
        ("harmbench", "intellectual_property"),
        ("or_bench", "violent_crimes"),
        ("safetybench", "harassment_toxicity"),
        ("simple_safety_tests", "suicide_self_harm"),
    ],
)
def test_labels_map_to_the_taxonomy(tmp_path, name, hazard):
    assert only(tmp_path, name).hazard == hazard


def test_every_hazard_that_a_task_names_is_the_taxonomys():
    from rose_guard.evaluation.tasks import catqa, harmbench, or_bench, safetybench, simple_safety_tests, xstest

    maps = [module._HAZARDS for module in (harmbench, or_bench, safetybench, simple_safety_tests, xstest)]
    for mapped in (*maps, catqa._BY_CATEGORY, catqa._BY_SUBCATEGORY):
        assert set(mapped.values()) <= set(HAZARDS)
