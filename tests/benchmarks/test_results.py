"""Every table of the results can be made anew: each study names arms, tasks and settings that there are."""

import pytest
import typer

from rose_guard.evaluation.arm import grid
from rose_guard.evaluation.arms import arms_named
from rose_guard.evaluation.configuration import RunSettings
from rose_guard.evaluation.tasks import task_named
from rose_guard_benchmarks import results


@pytest.mark.parametrize("name", results.STUDIES)
def test_a_study_can_be_run(name):
    study = results.STUDIES[name]
    settings = dict(study.settings)
    varied = [settings.pop(setting, ()) for setting in ("alpha", "horizon", "beta")]
    assert all(task_named(task).name == task and task.partition("+")[0] in results.FILES for task in study.tasks)
    assert all(grid(arm, *varied) for arm in arms_named(study.arms))
    RunSettings(limit=study.limit, **settings)


def test_a_study_is_run_and_its_report_written_beside_it(tmp_path, monkeypatch):
    asked = {}
    monkeypatch.setattr(results, "run", lambda **options: asked.update(options))
    monkeypatch.setattr(results, "report", lambda folder, **options: typer.echo(f"{folder.name} {options['judge']}"))
    results.perform("answers", results.STUDIES["answers"], tmp_path / "data", tmp_path)
    assert asked["out"] == tmp_path / "answers"
    assert f"catqa={tmp_path}/data/catqa_en.jsonl" in asked["task"]
    assert (tmp_path / "answers.md").read_text() == "answers ['pattern', 'embedded']\n"
