"""Laws of runs: nothing is lost, nothing is done again, nothing is counted twice, whatever ends a process."""

import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rose_guard.errors import DecodingError, InputError, SettingsError
from rose_guard.evaluation.arm import grid
from rose_guard.evaluation.arms import ARMS
from rose_guard.evaluation.record import Record
from rose_guard.evaluation.run import CONFIGURATION, RECORDS, Run
from rose_guard.evaluation.run_file import RunFile, read_records
from tests.evaluation.fakes import ALL, BENIGN, PLAIN_AND_ROSE, prompts_file, sweep_of
from tests.guard.fakes import FakeClassifier, FakeEngine

SLOW_RUN = Path(__file__).parent / "slow_run.py"


def told(records):
    """What records say, whatever the time that they took."""
    return sorted(record.model_copy(update={"seconds": 0.0}).model_dump_json() for record in records)


@pytest.fixture
def prompts(tmp_path):
    return prompts_file(tmp_path / "prompts.jsonl", 5)


def test_a_finished_run_asks_for_nothing_again(tmp_path, prompts):
    first, _ = sweep_of((BENIGN, prompts)).run(tmp_path / "run")
    before, engine, seen = (tmp_path / "run" / RECORDS).read_bytes(), FakeEngine(), []
    again, _ = sweep_of((BENIGN, prompts), engine=engine).run(tmp_path / "run", lambda *done: seen.append(done))
    assert engine.requests == []
    assert seen == [(10, 10)]
    assert (again.folder / RECORDS).read_bytes() == before
    assert told(first.records()) == told(again.records())


@settings(max_examples=40)
@given(st.integers(0, 10_000))
def test_a_run_cut_off_at_any_byte_ends_as_if_it_never_was(tmp_path_factory, anywhere):
    folder = tmp_path_factory.mktemp("cut")
    prompts = prompts_file(folder / "prompts.jsonl", 5)
    whole, _ = sweep_of((BENIGN, prompts), batch_size=2).run(folder / "run")
    expected, file = told(whole.records()), folder / "run" / RECORDS
    content = file.read_bytes()
    cut = anywhere % (len(content) + 1)
    file.write_bytes(content[:cut])
    left = len(whole.records())
    engine = FakeEngine()
    again, _ = sweep_of((BENIGN, prompts), batch_size=2, engine=engine).run(folder / "run")
    assert left == content[:cut].count(b"\n")
    assert len(engine.requests) == 10 - left
    assert told(again.records()) == expected


def test_a_process_killed_again_and_again_loses_nothing_and_redoes_nothing(tmp_path):
    """Each go is killed with SIGKILL; what was on record before it is never asked for again."""
    prompts, folder, log = prompts_file(tmp_path / "prompts.jsonl", 24), tmp_path / "run", tmp_path / "asked.log"
    ends = []
    for wanted in (1, 4, 7, None):
        done = {record.example for record in read_records(folder / RECORDS)} if (folder / RECORDS).exists() else set()
        log.write_text("")
        process = subprocess.Popen([sys.executable, str(SLOW_RUN), str(prompts), str(folder), str(log)])
        if wanted is not None:
            _wait_until_asked(process, log, wanted)
            process.kill()
        ends.append(process.wait(timeout=60))
        asked = log.read_text().split()
        assert len(asked) == len(set(asked))
        assert set(asked).isdisjoint(done)
    keys = [record.key for record in Run(folder).records()]
    assert len(keys) == len(set(keys)) == 24
    assert ends == [-signal.SIGKILL] * 3 + [0]


def _wait_until_asked(process, log, wanted):
    """Until a process asked for so many answers."""
    deadline = time.monotonic() + 60
    while process.poll() is None and len(log.read_text().split()) < wanted and time.monotonic() < deadline:
        time.sleep(0.005)


def test_a_fault_in_the_midst_keeps_what_was_done(tmp_path, prompts):
    class Breaking(FakeEngine):
        def streams(self, requests):
            if len(self.requests) >= 4:
                raise DecodingError("no token")
            return super().streams(requests)

    with pytest.raises(DecodingError):
        sweep_of((BENIGN, prompts), engine=Breaking(), batch_size=2).run(tmp_path / "run")
    assert len(Run(tmp_path / "run").records()) == 4
    run, _ = sweep_of((BENIGN, prompts), batch_size=2).run(tmp_path / "run")
    assert len(run.records()) == 10


def _other_file(tasks, tmp_path):
    return [(tasks[0][0], prompts_file(tmp_path / "others.jsonl", 5, start=1))]


def _with(sweep, **changes):
    return replace(sweep, **changes)


def _with_settings(sweep, **changes):
    return replace(sweep, settings=ALL.model_copy(update=changes))


def _with_rose(sweep, **changes):
    return replace(sweep, arms=[ARMS["plain"], replace(ARMS["rose_manual"], **changes)])


@pytest.mark.parametrize(
    ("change", "changes", "says"),
    [
        (_with, {"arms": grid(ARMS["rose_manual"], [0.3])}, "arms.rose_manual"),
        (_with_rose, {"alpha": 0.7}, "alpha: 0.5 there, 0.7 now"),
        (_with_rose, {"reverse": "x"}, "arms.rose_manual.reverse"),
        (_with_settings, {"seed": 1}, "settings.seed: 0 there, 1 now"),
        (_with_settings, {"limit": 2}, "settings.limit: nothing there, 2 now"),
        (_with, {"engines": [type("Other", (FakeEngine,), {"model_id": "other"})()]}, "model: fake there, other now"),
    ],
    ids=["arms", "alpha", "prompt", "seed", "limit", "model"],
)
def test_a_run_of_something_else_is_refused_and_says_what_differs(tmp_path, prompts, change, changes, says):
    sweep = sweep_of((BENIGN, prompts))
    sweep.run(tmp_path / "run")
    before = (tmp_path / "run" / RECORDS).read_bytes()
    with pytest.raises(SettingsError, match="run of something else") as refusal:
        change(sweep, **changes).run(tmp_path / "run")
    assert says in str(refusal.value)
    assert (tmp_path / "run" / RECORDS).read_bytes() == before


def test_a_run_of_another_file_is_refused_whatever_its_name(tmp_path, prompts):
    sweep_of((BENIGN, prompts)).run(tmp_path / "run")
    prompts_file(prompts, 5, start=1)
    with pytest.raises(SettingsError, match=r"tasks\.benign_prompts\.file_sha256"):
        sweep_of((BENIGN, prompts)).run(tmp_path / "run")


def test_where_files_lie_how_many_go_together_and_the_machine_may_change(tmp_path, prompts):
    sweep_of((BENIGN, prompts), batch_size=2).run(tmp_path / "run")
    moved = prompts.rename(tmp_path / "moved.jsonl")
    engine = FakeEngine()
    sweep_of((BENIGN, moved), engine=[engine, FakeEngine()], batch_size=5).run(tmp_path / "run")
    assert engine.requests == []


def test_two_processes_never_write_to_one_run(tmp_path, prompts):
    sweep_of((BENIGN, prompts)).run(tmp_path / "run")
    file = RunFile(tmp_path / "run" / RECORDS)
    with pytest.raises(SettingsError, match="another process"):
        sweep_of((BENIGN, prompts)).run(tmp_path / "run")
    file.close()
    sweep_of((BENIGN, prompts)).run(tmp_path / "run")


@pytest.mark.parametrize(
    "line", [b"{}", b"not json", b"", b'{"task": "t", "arm": "a", "example": "e", "kind": "benign", "x": 1}']
)
def test_a_line_that_is_no_record_is_refused_with_its_place(tmp_path, line):
    path = tmp_path / RECORDS
    file = RunFile(path)
    file.append([Record(task="t", arm="a", example="e", kind="benign")])
    file.close()
    path.write_bytes(path.read_bytes() + line + b"\n")
    with pytest.raises(InputError, match=r"records\.jsonl:2"):
        RunFile(path)


def test_a_record_that_is_there_twice_is_refused(tmp_path, prompts):
    run, _ = sweep_of((BENIGN, prompts)).run(tmp_path / "run")
    path = run.folder / RECORDS
    first, *_ = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(path.read_bytes() + first)
    with pytest.raises(InputError, match=r"records\.jsonl:11: holds a record again"):
        run.records()


def test_records_without_a_configuration_are_no_run(tmp_path, prompts):
    run, _ = sweep_of((BENIGN, prompts)).run(tmp_path / "run")
    (run.folder / CONFIGURATION).unlink()
    with pytest.raises(InputError, match=r"run\.json"):
        sweep_of((BENIGN, prompts)).run(tmp_path / "run")
    with pytest.raises(InputError, match=r"run\.json"):
        Run(tmp_path / "run")


def test_the_configuration_tells_versions_digests_and_seeds_and_no_prompt(tmp_path, prompts):
    arms = [*PLAIN_AND_ROSE, ARMS["guard"]]
    run, _ = sweep_of((BENIGN, prompts), arms=arms, classifier=FakeClassifier()).run(tmp_path / "run")
    text = (run.folder / CONFIGURATION).read_text()
    said = json.loads(text)
    assert (said["model"], said["classifier"], said["settings"]["seed"]) == ("fake", "fake", 0)
    assert {"rose-guard", "torch", "transformers"} <= set(said["versions"])
    assert said["tasks"]["benign_prompts"]["examples"] == 5
    assert "assistant" not in text.lower()


def test_answers_are_for_their_owner_only(tmp_path, prompts):
    run, _ = sweep_of((BENIGN, prompts)).run(tmp_path / "run")
    assert (run.folder / RECORDS).stat().st_mode & 0o077 == 0


def test_the_examples_of_a_run_are_read_anew_and_must_be_what_they_were(tmp_path, prompts):
    run, _ = sweep_of((BENIGN, prompts)).run(tmp_path / "run")
    assert {key[1] for key in run.examples()} == {record.example for record in run.records()}
    prompts_file(prompts, 6)
    with pytest.raises(InputError, match="is not what it was"):
        run.examples()
