"""Laws of ``rose-guard eval tasks``: it tells what a user must know before running a task."""

import json

import pytest
from typer.testing import CliRunner

from rose_guard.cli.main import app
from rose_guard.errors import InputError
from rose_guard.evaluation.tasks import TASKS, task_named


def listed(*arguments):
    result = CliRunner().invoke(app, ["eval", "tasks", *arguments])
    assert result.exit_code == 0
    return result.stdout.splitlines()


def attacks():
    return {task["name"]: task["attacks"] for task in map(json.loads, listed("--json"))}


def test_every_task_is_listed_with_its_licence_columns_and_source():
    *lines, _ = listed()
    for task, line in zip(TASKS.values(), lines, strict=True):
        assert line.startswith(f"{task.name}: ")
        assert line.endswith(f"licence: {task.licence}; {task.source}")
        assert all(column in line for column in task.columns)


def test_every_attack_that_is_listed_can_be_run_and_harmful_tasks_alone_have_any():
    found = attacks()
    assert {name for name, hows in found.items() if hows} == {n for n, task in TASKS.items() if task.kind == "harmful"}
    assert all(task_named(f"{name}+{how}") for name, hows in found.items() for how in hows)


def test_no_attack_that_there_is_is_left_out():
    with pytest.raises(InputError, match="no such attack; there are") as refusal:
        task_named("harmful_prompts+tea")
    known = str(refusal.value).split("there are ")[1].split(", ")
    assert known == attacks()["harmful_prompts"]
    assert listed()[-1].endswith(", ".join(known))
