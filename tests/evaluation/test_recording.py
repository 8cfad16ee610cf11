"""Laws of records: what is scored beside answers and options, and which answers are measured by an instruction."""

from rose_guard.evaluation.arms import ARMS
from rose_guard.evaluation.example import Example
from rose_guard.evaluation.instruction import INSTRUCTION
from rose_guard.evaluation.task import Task
from rose_guard.message import Message
from tests.evaluation.fakes import FakeScorer, choice_task, sweep_of
from tests.guard.fakes import FakeClassifier, FakeEngine

ASKED = (Message("user", "Which?"),)
PAIR = Example("pair", ASKED, "choice", safe=("this",), unsafe=("that",), options=("this", "that"), answer=0)


def records_of(tmp_path, *examples, **more):
    task = Task("made_up", "Made up", "nowhere", "none", examples[0].kind, ("id",), lambda _: examples, lambda _: [])
    run, failures = sweep_of((task, "anywhere"), **more).run(tmp_path / "run")
    assert not failures
    return run.records()


def test_the_references_of_a_choice_are_scored_under_the_arms_contrast(tmp_path):
    engine, scorer = FakeEngine(), FakeScorer()
    found = records_of(tmp_path, PAIR, engine=engine, scorer=scorer)
    assert [(r.option_logprobs, r.safe_logprobs, r.unsafe_logprobs) for r in found] == [
        ((-4.0, -4.0), (-1.0,), (-2.0,))
    ] * 2
    assert [(what, reverse, alpha) for what, _, _, reverse, alpha in scorer.asked] == [
        ("options", 0, 0.0),
        ("references", 0, 0.0),
        ("options", 1, 0.5),
        ("references", 1, 0.5),
    ]
    assert engine.requests == []


def test_a_choice_without_references_is_asked_for_none(tmp_path):
    scorer = FakeScorer()
    run, _ = sweep_of((choice_task(1), "anywhere"), scorer=scorer).run(tmp_path / "run")
    assert {what for what, *_ in scorer.asked} == {"options"}
    assert {record.safe_logprobs for record in run.records()} == {()}


def test_a_choice_that_the_guard_refuses_has_no_references(tmp_path):
    scorer, refusing = FakeScorer(), FakeClassifier(child_sexual_exploitation=1.0)
    (found,) = records_of(tmp_path, PAIR, arms=[ARMS["guard"]], classifier=refusing, scorer=scorer)
    assert (found.action, found.safe_logprobs, found.unsafe_logprobs, scorer.asked) == ("refuse", (), (), [])


def test_a_record_says_whether_its_answer_is_measured_by_an_instruction(tmp_path):
    told = Example("told", ASKED, "harmful", extra={INSTRUCTION: "Translate it."})
    bare = Example("bare", ASKED, "harmful", extra={"sentence": "Translate it."})
    found = records_of(tmp_path, told, bare, arms=[ARMS["plain"]])
    assert {record.example: record.instructed for record in found} == {"told": True, "bare": False}
