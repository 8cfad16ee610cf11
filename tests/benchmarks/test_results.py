"""Every table of the results can be made anew: each study names arms, tasks and settings that there are."""

import sys

import pytest

from rose_guard import SettingsError
from rose_guard.evaluation.arm import grid
from rose_guard.evaluation.arms import arms_named
from rose_guard.evaluation.configuration import RunSettings
from rose_guard.evaluation.tasks import task_named
from rose_guard_benchmarks import results


@pytest.mark.parametrize("name", results.STUDIES)
def test_a_study_can_be_run(name):
    study = results.STUDIES[name]
    varied = [study.varied.get(setting, ()) for setting in ("alpha", "horizon", "beta")]
    assert all(task_named(task).name == task and task.partition("+")[0] in results.FILES for task in study.tasks)
    for arm in arms_named(study.arms):
        grid(arm, *varied)  # raises where the arm has no use for a setting
    RunSettings(limit=study.limit, **study.settings)


def test_a_study_is_run_and_its_report_written_beside_it(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(results, "_rose_guard", lambda *arguments: asked.append(arguments) or arguments[0])
    results.perform("trade_off", results.STUDIES["trade_off"], tmp_path / "data", tmp_path)
    run, report = (" ".join(map(str, arguments)) for arguments in asked)
    assert run.startswith(f"run --task ailuminate={tmp_path}/data/ailuminate_en_dev.jsonl --task catqa=")
    assert f"--alpha 0.9 --part choose --limit 40 --out {tmp_path}/trade_off" in run
    assert report.startswith(f"report {tmp_path}/trade_off --judge pattern --judge embedded")
    assert (tmp_path / "trade_off.md").read_text() == "report"


def test_an_unknown_study_is_refused_before_anything_runs(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "perform", lambda *_: pytest.fail("ran"))
    monkeypatch.setattr(sys, "argv", ["results", str(tmp_path), str(tmp_path), "answers", "nothing"])
    with pytest.raises(SettingsError, match="trade_off"):
        results.main()
