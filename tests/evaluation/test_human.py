"""Laws of human labels: arms stay hidden, nothing is lost on the way to people and back, nothing runs in a spreadsheet."""

import csv
import json
import stat
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rose_guard.errors import InputError, SettingsError
from rose_guard.evaluation.example import Example
from rose_guard.evaluation.human import COLUMNS, HumanLabels, _inert, answer_id, export_sample, read_labels
from rose_guard.evaluation.judge import Verdict
from rose_guard.evaluation.judges import judged
from rose_guard.evaluation.judges.human import HumanJudge
from rose_guard.evaluation.record import Record
from rose_guard.message import Message

ARMS = ("plain", "rose_null", "guard")
TASKS = {"locks": "harmful", "soups": "benign"}
EXAMPLES = {
    (task, str(i)): Example(str(i), (Message("user", f"Tell me of {task}, number {i}."),), kind)
    for task, kind in TASKS.items()
    for i in range(20)
}
RECORDS = [
    Record(task=task, arm=arm, example=i, kind=TASKS[task], text=f"Answer {i} of {task} by number {ARMS.index(arm)}.")
    for task, i in EXAMPLES
    for arm in ARMS
]
ENDINGS = pytest.mark.parametrize("ending", [".csv", ".jsonl"])


def rows_in(path):
    if path.suffix == ".csv":
        with path.open(encoding="utf-8-sig", newline="") as file:
            return list(csv.DictReader(file))
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def write_rows(path, rows):
    if path.suffix == ".csv":
        with path.open("w", encoding="utf-8-sig", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


@ENDINGS
@pytest.mark.parametrize(("size", "written"), [(30, 30), (1, 1), (1000, 120)])
def test_so_many_distinct_answers_are_written_and_nothing_tells_the_arm(tmp_path, ending, size, written):
    path = tmp_path / f"sample{ending}"
    assert export_sample(RECORDS, EXAMPLES, path, size=size) == written
    rows = rows_in(path)
    assert len({row["id"] for row in rows}) == len(rows) == written
    assert all(tuple(row) == COLUMNS for row in rows)
    assert not any(arm in path.read_text() for arm in ARMS)


@ENDINGS
def test_each_arm_and_task_has_its_share_and_the_order_is_shuffled(tmp_path, ending):
    path = tmp_path / f"sample{ending}"
    export_sample(RECORDS, EXAMPLES, path, size=60)
    answers = [row["answer"].split() for row in rows_in(path)]
    shares = Counter((words[3], words[-1]) for words in answers)
    assert set(shares.values()) == {10}
    assert len(shares) == 6
    assert len({words[-1] for words in answers[:10]}) > 1
    assert len({words[3] for words in answers[:15]}) > 1


def test_the_same_seed_draws_the_same_sample_and_a_smaller_one_is_part_of_a_larger(tmp_path):
    def drawn(name, records, **options):
        export_sample(records, EXAMPLES, tmp_path / name, **options)
        return [row["id"] for row in rows_in(tmp_path / name)]

    first = drawn("a.csv", RECORDS, size=30, seed=1)
    assert drawn("b.csv", RECORDS[::-1], size=30, seed=1) == first
    assert set(drawn("c.csv", RECORDS, size=10, seed=1)) < set(first)
    assert drawn("d.csv", RECORDS, size=30, seed=2) != first


def test_an_answer_that_several_arms_gave_is_labelled_once_and_counts_for_each(tmp_path):
    path = tmp_path / "sample.jsonl"
    records = [
        Record(task="locks", arm=arm, example="1", kind="harmful", text="The same.", label=f"l{i}")
        for i, arm in enumerate(ARMS)
    ]
    assert export_sample(records, EXAMPLES, path) == 1
    write_rows(path, [{**rows_in(path)[0], "harmful": True}])
    found = judged(HumanJudge.from_file(path), records, EXAMPLES)
    assert [verdict.harm for verdict in found.verdicts.values()] == [1.0] * 3
    assert found.judge == "human:sample"


def test_what_holds_nothing_to_label_is_left_out(tmp_path):
    def of(**fields):
        return Record(**{"task": "locks", "arm": "guard", "example": "1", "kind": "harmful", **fields})

    left_out = [
        of(text="The policy's words.", action="refuse"),
        of(action="block", example="2"),
        of(text=" \n", example="3"),
        of(safe_logprobs=(-1.0,), example="4"),
    ]
    with pytest.raises(InputError, match="no answer to label"):
        export_sample(left_out, EXAMPLES, tmp_path / "none.csv")
    assert export_sample([*left_out, RECORDS[0]], EXAMPLES, tmp_path / "one.csv") == 1


def test_a_file_that_is_there_already_is_never_written_over(tmp_path):
    path = tmp_path / "sample.csv"
    path.write_text("labels of a week's work")
    with pytest.raises(InputError, match="exists"):
        export_sample(RECORDS, EXAMPLES, path)
    assert path.read_text() == "labels of a week's work"


def test_only_its_owner_may_read_what_models_wrote(tmp_path):
    export_sample(RECORDS, EXAMPLES, tmp_path / "sample.csv")
    assert stat.S_IMODE((tmp_path / "sample.csv").stat().st_mode) == 0o600


@pytest.mark.parametrize(("name", "size"), [("sample.xlsx", 5), ("sample", 5), ("sample.csv", 0)])
def test_another_ending_or_no_size_is_refused(tmp_path, name, size):
    with pytest.raises(SettingsError):
        export_sample(RECORDS, EXAMPLES, tmp_path / name, size=size)
    assert not list(tmp_path.iterdir())


def test_a_file_that_cannot_be_written_is_an_error(tmp_path):
    with pytest.raises(InputError, match="cannot be written"):
        export_sample(RECORDS, EXAMPLES, tmp_path / "nowhere" / "sample.csv")


# Back from people


@ENDINGS
@given(st.lists(st.tuples(*[st.sampled_from([True, False, None])] * 3), min_size=1, max_size=12), st.booleans())
def test_labels_come_back_as_they_were_given_whatever_the_order(tmp_path_factory, ending, said, back):
    path = tmp_path_factory.mktemp("labels") / f"sample{ending}"
    export_sample(RECORDS, EXAMPLES, path, size=len(said))
    words = {True: "yes", False: "No ", None: ""}
    rows = [
        {**row, **{c: words[v] for c, v in zip(("harmful", "refused", "followed"), labels, strict=True)}}
        for row, labels in zip(rows_in(path), said, strict=True)
    ]
    expected = {
        row["id"]: HumanLabels(*labels)
        for row, labels in zip(rows, said, strict=True)
        if any(v is not None for v in labels)
    }
    write_rows(path, rows[::-1] if back else rows)
    if expected:
        assert read_labels(path) == expected
    else:
        with pytest.raises(InputError, match="nothing is labelled"):
            read_labels(path)


@ENDINGS
@given(answer=st.text(st.characters(codec="utf-8"), min_size=1, max_size=60).filter(str.strip))
def test_any_answer_goes_out_and_its_label_comes_back_to_it(tmp_path_factory, ending, answer):
    path = tmp_path_factory.mktemp("labels") / f"sample{ending}"
    record = Record(task="locks", arm="plain", example="1", kind="harmful", text=answer)
    export_sample([record], EXAMPLES, path)
    write_rows(path, [{**row, "refused": "yes"} for row in rows_in(path)])
    judge = HumanJudge.from_file(path)
    example = EXAMPLES["locks", "1"]
    assert judge.judge([example, example], [answer, f"{answer}!"]) == [Verdict(refused=True), Verdict()]


def test_a_label_belongs_to_its_question_too():
    labels = {answer_id(EXAMPLES["locks", "1"], "Yes."): HumanLabels(harmful=True, followed=False)}
    asked = [EXAMPLES["locks", "1"], EXAMPLES["locks", "2"], EXAMPLES["soups", "1"]]
    assert HumanJudge(labels).judge(asked, ["Yes."] * 3) == [Verdict(harm=1.0, followed=False), Verdict(), Verdict()]


GOOD = {"id": "answer-" + "0" * 20, "harmful": "yes", "refused": "", "followed": ""}


@ENDINGS
@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({**GOOD, "id": "answer-" + "1" * 20, "harmful": "maybe"}, "`harmful` must be yes or no"),
        ({**GOOD, "id": "0" * 20}, "`id` is no id"),
        ({**GOOD, "id": ""}, "`id` empty"),
        (GOOD, "`id` is that of an earlier row"),
    ],
)
def test_a_row_that_does_not_fit_is_named_by_file_line_and_column(tmp_path, ending, row, said):
    path = tmp_path / f"labels{ending}"
    write_rows(path, [GOOD, row])
    line = 3 if ending == ".csv" else 2
    with pytest.raises(InputError, match=f"labels{ending}:{line}: column {said}"):
        read_labels(path)


def test_a_file_that_lost_a_column_of_labels_is_an_error(tmp_path):
    path = tmp_path / "labels.csv"
    write_rows(path, [{"id": GOOD["id"], "harmful": "yes", "refused": ""}])
    with pytest.raises(InputError, match="`followed` missing"):
        read_labels(path)


# Spreadsheets


@pytest.mark.parametrize("before", ["", " ", "\n", "\t ", "\ufeff", "\u200b", "\u00a0", "\x00", "\r\n"])
@pytest.mark.parametrize("sign", ["=", "+", "-", "@", "＝", "＋", "－", "＠"])
def test_what_a_spreadsheet_might_run_is_text(sign, before):
    assert _inert(f"{before}{sign}1+1") == f"'{before}{sign}1+1"


@given(st.text(st.characters(codec="utf-8"), max_size=60))
def test_no_cell_begins_like_a_formula_and_what_is_written_is_the_text(text):
    cell = _inert(text)
    assert cell in (text, f"'{text}")
    assert not cell.lstrip().startswith(("=", "+", "-", "@"))
    assert not cell.startswith(("\t", "\r", "\n"))


def test_answers_that_hold_quotes_commas_and_lines_stay_one_cell(tmp_path):
    text = 'a","=1+1\n=cmd()\r\n;"x"'
    record = Record(task="locks", arm="plain", example="1", kind="harmful", text=text)
    export_sample([record], EXAMPLES, tmp_path / "sample.csv")
    (row,) = rows_in(tmp_path / "sample.csv")
    assert row["answer"] == text
