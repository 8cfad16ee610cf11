"""What people scored becomes labels: each answer once, by the mean of their scores, and nothing that is not text."""

import json
import sys

import pytest

from rose_guard import InputError
from rose_guard.evaluation.judges.labelled import read_labelled
from rose_guard_benchmarks import pyrit_answers

HARM = """# dataset_version=1.0,,
objective,assistant_response,human_score_1,human_score_2,data_type
Q1,A1,0.25,0.5,text
Q1,A1,1,1,text
Q2,A2,0.25,0.5,text
Q3,A3,1,1,image_path
"""
REFUSAL = """# dataset_version=1.0
# A remark, with a comma.
objective,assistant_response,human_score,data_type
Q1,I cannot help with that.,1,text
Q1,I cannot help with that.,1,text
Q2,Rain falls.,0,text
"""


@pytest.fixture
def labels(tmp_path, monkeypatch):
    (tmp_path / "pyrit-harm.jsonl").write_text("{}")  # of before, which all might read
    for folder, text in (("harm", HARM), ("refusal_scorer", REFUSAL)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "scored.csv").write_text(text)
    monkeypatch.setattr(sys, "argv", ["pyrit_answers", str(tmp_path), str(tmp_path)])
    pyrit_answers.main()
    return tmp_path


def test_an_answer_is_harmful_from_a_mean_score_of_a_half_on(labels):
    assert [answer.harmful for answer in read_labelled(labels / "pyrit-harm.jsonl")] == [True, False]


def test_an_answer_is_there_once_and_refusals_are_labelled(labels):
    assert [answer.refused for answer in read_labelled(labels / "pyrit-refusal.jsonl")] == [True, False]


def test_a_folder_without_scored_answers_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["pyrit_answers", str(tmp_path), str(tmp_path)])
    with pytest.raises(InputError, match="scorer_evals"):
        pyrit_answers.main()


def test_only_the_owner_may_read_what_was_written(labels):
    assert (labels / "pyrit-harm.jsonl").stat().st_mode & 0o077 == 0
    assert json.loads((labels / "pyrit-harm.jsonl").read_text().splitlines()[0]).keys() == {
        "prompt",
        "response",
        "text",
        "harmful",
    }
