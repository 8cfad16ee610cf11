"""Laws of a sweep: every task under every arm, by the arm's own request, in batches, on one engine or several."""

import threading
import time

import pytest

from rose_guard.errors import ContextLengthError, DecodingError, SettingsError
from rose_guard.evaluation.arms import ARMS
from rose_guard.evaluation.configuration import RunSettings
from rose_guard.evaluation.run import Run
from rose_guard.evaluation.sweep import FAILURES
from rose_guard.evaluation.task import part_of
from tests.evaluation.fakes import (
    BENIGN,
    PLAIN_AND_ROSE,
    FakeScorer,
    choice_task,
    prompts_file,
    reference_task,
    sweep_of,
)
from tests.guard.fakes import FakeClassifier, FakeEngine


@pytest.fixture
def prompts(tmp_path):
    return prompts_file(tmp_path / "prompts.jsonl", 5)


def test_every_example_of_every_task_is_on_record_once_under_every_arm(tmp_path, prompts):
    run, failures = sweep_of((BENIGN, prompts), batch_size=2).run(tmp_path / "run")
    keys = [record.key for record in run.records()]
    assert not failures
    assert len(keys) == len(set(keys)) == 10
    assert {(task, arm) for task, arm, _ in keys} == {("benign_prompts", "plain"), ("benign_prompts", "rose_manual")}


def test_arms_take_turns_batch_by_batch(tmp_path, prompts):
    run, _ = sweep_of((BENIGN, prompts), batch_size=2).run(tmp_path / "run")
    arms = [record.arm for record in run.records()]
    assert arms == ["plain"] * 2 + ["rose_manual"] * 2 + ["plain"] * 2 + ["rose_manual"] * 2 + ["plain", "rose_manual"]


def test_a_record_tells_what_was_decided_and_decoded(tmp_path, prompts):
    run, _ = sweep_of((BENIGN, prompts), scorer=FakeScorer()).run(tmp_path / "run")
    plain, *_, steered = run.records()
    assert (plain.action, plain.alpha, plain.text, plain.kind) == ("allow", 0.0, "one two three", "benign")
    assert (steered.action, steered.alpha, steered.finish_reason) == ("steer", 0.5, "stop")
    assert (plain.input_tokens, plain.output_tokens, plain.plain_logprob) == (7, 3, -0.5)
    assert plain.seconds > 0.0


def test_a_batch_is_handed_to_the_engine_together(tmp_path, prompts):
    sizes = []

    class Counting(FakeEngine):
        def streams(self, requests):
            sizes.append(len(requests))
            return super().streams(requests)

    sweep_of((BENIGN, prompts), engine=Counting(), batch_size=3, arms=[ARMS["plain"]]).run(tmp_path / "run")
    assert sizes == [3, 2]


@pytest.mark.parametrize("part", ["choose", "report"])
def test_a_part_shares_no_example_with_the_other(tmp_path, part):
    prompts = prompts_file(tmp_path / "prompts.jsonl", 40)
    run, _ = sweep_of((BENIGN, prompts), settings=RunSettings(part=part)).run(tmp_path / "run")
    assert {part_of(record.example) for record in run.records()} == {part}


def test_a_limit_takes_so_many_of_the_part(tmp_path):
    prompts = prompts_file(tmp_path / "prompts.jsonl", 40)
    run, _ = sweep_of((BENIGN, prompts), settings=RunSettings(limit=3), arms=[ARMS["plain"]]).run(tmp_path / "run")
    assert len(run.records()) == 3


def test_an_example_that_cannot_be_answered_is_told_and_no_record(tmp_path, prompts):
    class Picky(FakeEngine):
        def streams(self, requests):
            if any("3 plus" in request.messages[-1].content for request in requests):
                raise ContextLengthError(60, 50)
            return super().streams(requests)

    run, failures = sweep_of((BENIGN, prompts), engine=Picky()).run(tmp_path / "run")
    assert len(run.records()) == 8
    assert {(failure.arm, failure.example) for failure in failures} == {
        (arm.name, next(key[1] for key, e in run.examples().items() if "3 plus" in e.messages[0].content))
        for arm in PLAIN_AND_ROSE
    }
    lines = (run.folder / FAILURES).read_text().splitlines()
    assert len(lines) == 2
    assert not any("plus" in line for line in lines)
    _, mended = sweep_of((BENIGN, prompts)).run(tmp_path / "run")
    assert mended == []
    assert len(run.records()) == 10
    assert (run.folder / FAILURES).read_text() == ""


def test_choices_are_scored_under_the_arms_contrast_and_never_decoded(tmp_path):
    engine, scorer = FakeEngine(), FakeScorer()
    run, _ = sweep_of((choice_task(3), "anywhere"), engine=engine, scorer=scorer).run(tmp_path / "run")
    assert engine.requests == []
    assert {record.option_logprobs for record in run.records()} == {(-4.0, -4.0)}
    assert {(reverse, alpha) for *_, reverse, alpha in scorer.asked} == {(0, 0.0), (1, 0.5)}


def test_a_choice_that_the_guard_refuses_has_no_likelihoods(tmp_path):
    scorer, refusing = FakeScorer(), FakeClassifier(child_sexual_exploitation=1.0)
    run, _ = sweep_of((choice_task(1), "anywhere"), arms=[ARMS["guard"]], classifier=refusing, scorer=scorer).run(
        tmp_path / "run"
    )
    (record,) = run.records()
    assert (record.action, record.option_logprobs, scorer.asked) == ("refuse", (), [])


def test_choices_without_what_scores_them_are_refused(tmp_path):
    with pytest.raises(SettingsError, match="'choices'"):
        sweep_of((choice_task(1), "anywhere")).run(tmp_path / "run")


def test_references_are_scored_beside_the_answer(tmp_path):
    scorer = FakeScorer()
    run, _ = sweep_of((reference_task(2), "anywhere"), scorer=scorer).run(tmp_path / "run")
    for record in run.records():
        assert (record.safe_logprobs, record.unsafe_logprobs) == ((-1.0,), (-2.0, -2.0))
        assert (record.text, record.plain_logprob) == ("one two three", -0.5)


def test_engines_work_side_by_side_and_share_the_work(tmp_path):
    meeting = threading.Barrier(2, timeout=30)

    class Meeting(FakeEngine):
        def streams(self, requests):
            if not self.requests:
                meeting.wait()
            return super().streams(requests)

    prompts = prompts_file(tmp_path / "prompts.jsonl", 12)
    engines = [Meeting(), Meeting()]
    run, _ = sweep_of((BENIGN, prompts), engine=engines, batch_size=2).run(tmp_path / "run")
    assert len({record.key for record in run.records()}) == 24
    assert sum(len(engine.requests) for engine in engines) == 24


def test_a_fault_of_one_engine_ends_the_others_after_their_batch(tmp_path):
    class Broken(FakeEngine):
        def streams(self, requests):
            raise DecodingError("no token")

    class Slow(FakeEngine):
        def streams(self, requests):
            time.sleep(0.05)
            return super().streams(requests)

    prompts = prompts_file(tmp_path / "prompts.jsonl", 40)
    with pytest.raises(DecodingError):
        sweep_of((BENIGN, prompts), engine=[Broken(), Slow()], batch_size=1).run(tmp_path / "run")
    assert len(Run(tmp_path / "run").records()) < 40


def test_progress_only_rises_to_the_whole(tmp_path, prompts):
    seen = []
    sweep_of((BENIGN, prompts), batch_size=2).run(tmp_path / "run", lambda *done: seen.append(done))
    assert seen == [(done, 10) for done in (0, 2, 4, 6, 8, 9, 10)]


def test_a_sweep_that_makes_no_sense_is_refused(tmp_path, prompts):
    task = (BENIGN, prompts)
    other = type("Other", (FakeEngine,), {"model_id": "other"})()
    for wrong in (
        sweep_of,
        lambda: sweep_of(task, task),
        lambda: sweep_of(task, arms=[]),
        lambda: sweep_of(task, arms=[ARMS["plain"]] * 2),
        lambda: sweep_of(task, engine=[FakeEngine(), other]),
        lambda: sweep_of(task, batch_size=0),
        lambda: RunSettings(limit=0),
        lambda: RunSettings(part="some"),
    ):
        with pytest.raises(SettingsError):
            wrong()
