import pytest

from rose_guard.errors import InputError
from rose_guard.evaluation.tasks import TASKS, task_named
from rose_guard.message import check_conversation
from rose_guard.taxonomy import ATTACKS, HAZARDS
from tests.evaluation.published_rows import ROWS, load, only

USED = {  # a column without which a row does not fit
    **dict.fromkeys(("beavertails", "beavertails_evaluation", "ok_test", "or_bench", "or_bench_toxic"), "prompt"),
    **{name: "text" for name in ROWS if name.endswith("_prompts") or name in ("cross_task", "latent_jailbreak")},
    "advbench": "goal",
    "ailuminate": "hazard",
    "alpaca_eval": "output",
    "catqa": "Subcategory",
    "cvalues": "meta_info",
    "do_not_answer": "specific_harms",
    "harmbench": "SemanticCategory",
    "harmful_qa": "topic",
    "mmlu": "answer",
    "nq_injected": "injected_question",
    "safetybench": "options",
    "simple_safety_tests": "harm_area",
    "truthfulqa": "incorrect_answers",
    "xstest": "type",
}


def test_every_task_is_tried_here():
    assert set(ROWS) == set(TASKS)
    assert set(USED) == set(TASKS) - {"dangerous_qa"}


@pytest.mark.parametrize("name", ROWS)
def test_a_published_row_is_one_example_of_the_tasks_kind(tmp_path, name):
    example = only(tmp_path, name)
    check_conversation(example.messages)
    assert example.kind == TASKS[name].kind
    assert example.hazard in (None, *HAZARDS)
    assert example.attack in (None, *ATTACKS)
    assert (example.kind == "choice") == bool(example.options) == (example.answer is not None)


@pytest.mark.parametrize("name", TASKS)
def test_a_task_says_where_it_is_from(name):
    task = TASKS[name]
    assert task.name == name
    assert task.title
    assert task.licence
    assert task.columns
    assert task.source.startswith("https://") or task.source == "a file of your own"


@pytest.mark.parametrize("blank", [None, "", "  ", "missing"])
@pytest.mark.parametrize("name", USED)
def test_a_row_without_a_column_is_refused_by_file_line_column_and_source(tmp_path, name, blank):
    row = dict(ROWS[name])
    row[USED[name]] = blank
    if blank == "missing":
        del row[USED[name]]
    with pytest.raises(InputError) as refusal:
        load(tmp_path, name, ROWS[name], row)
    said = str(refusal.value)
    assert f"{tmp_path / 'data.jsonl'}:2: column " in said
    assert f"`{USED[name]}`" in said
    assert TASKS[name].source in said


@pytest.mark.parametrize("name", ROWS)
def test_a_refusal_never_tells_what_a_cell_holds(tmp_path, name):
    row = ROWS[name]
    wrong = {**dict.fromkeys(row, "SECRET tea"), "id": "1"} if isinstance(row, dict) else ["SECRET tea"]
    with pytest.raises(InputError) as refusal:
        load(tmp_path, name, wrong, wrong)
    assert "SECRET" not in str(refusal.value)


@pytest.mark.parametrize("name", ROWS)
def test_an_example_shows_no_text_in_its_repr(tmp_path, name):
    example = only(tmp_path, name)
    assert example.messages[-1].content not in repr(example)


def test_an_id_belongs_to_one_example(tmp_path):
    with pytest.raises(InputError, match="example 2 has the id of an earlier one"):
        load(tmp_path, "benign_prompts", {"id": "b", "text": "Tea?"}, {"id": "b", "text": "Cake?"})


def test_rows_without_ids_are_known_by_their_number(tmp_path):
    assert [e.id for e in load(tmp_path, "ok_test", {"prompt": "Tea?"}, {"prompt": "Cake?"})] == [
        "ok_test-1",
        "ok_test-2",
    ]


def test_the_line_break_that_ends_a_published_prompt_is_no_part_of_it(tmp_path):
    (example,) = load(tmp_path, "ok_test", {"prompt": "Can you pitch a tent?\n"})
    assert example.messages[0].content == "Can you pitch a tent?"


@pytest.mark.parametrize("column", ["hazard", "attack"])
def test_own_prompts_with_an_unknown_label_are_refused_by_the_labels_there_are(tmp_path, column):
    with pytest.raises(InputError, match=f":1: column `{column}` holds none of "):
        only(tmp_path, "harmful_prompts", **{column: "tea"})


def test_an_unknown_task_or_attack_or_one_of_harmless_prompts_is_refused():
    for name in ("tea", "advbench+tea", "alpaca_eval+base64", "xstest+persona", "+base64"):
        with pytest.raises(InputError):
            task_named(name)
