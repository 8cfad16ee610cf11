"""Laws of ``rose-guard eval``, on an engine that answers what it is told to."""

import csv
import json

import pytest
from typer.testing import CliRunner

from rose_guard.cli.main import app
from rose_guard.errors import InputError, SettingsError
from rose_guard.evaluation.arms import ARMS
from rose_guard.evaluation.run import Run
from rose_guard.evaluation.tasks import TASKS
from tests.evaluation.fakes import prompts_file
from tests.guard.fakes import FakeClassifier, FakeEngine

REFUSAL = "I cannot help with that, sorry."


@pytest.fixture
def fake(monkeypatch):
    """Declines everything."""
    engine = FakeEngine(REFUSAL)
    monkeypatch.setattr("rose_guard.cli.eval.run._engine", lambda *_: engine)
    monkeypatch.setattr("rose_guard.langchain.loading.classifier_for", lambda *_: FakeClassifier(hate=0.9))
    return engine


@pytest.fixture
def prompts(tmp_path):
    return prompts_file(tmp_path / "prompts.jsonl", 4)


@pytest.fixture
def folder(fake, prompts, tmp_path):
    """Of a run of harmless prompts that count as harmful ones, and as harmless ones."""
    folder = tmp_path / "run"
    result = run("run", *tasks_of(prompts), "--arm", "plain", "--arm", "guard", "--part", "all", "--out", str(folder))
    assert result.exit_code == 0
    return folder


def tasks_of(path):
    return ["--task", f"harmful_prompts={path}", "--task", f"benign_prompts={path}"]


def run(*arguments):
    return CliRunner().invoke(app, ["eval", *map(str, arguments)])


def test_run_keeps_a_record_of_every_example_under_every_arm_and_is_silent_in_a_pipe(fake, prompts, tmp_path):
    result = run("run", *tasks_of(prompts), "--part", "all", "--out", tmp_path / "run", "--json")
    assert json.loads(result.stdout) == {"folder": str(tmp_path / "run"), "records": 16, "failures": 0}
    assert result.stderr == ""
    assert {record.arm for record in Run(tmp_path / "run").records()} == {"plain", "guard"}


def test_run_again_asks_for_nothing(folder, fake, prompts):
    asked = len(fake.requests)
    again = ["run", *tasks_of(prompts), "--arm", "plain", "--arm", "guard", "--part", "all", "--out", folder]
    assert run(*again).exit_code == 0
    assert len(fake.requests) == asked
    other = run(*again, "--seed", "7")
    assert isinstance(other.exception, SettingsError)
    assert "settings.seed: 0 there, 7 now" in str(other.exception)


def test_run_makes_a_grid_of_the_arms_that_contrast(fake, prompts, tmp_path):
    grid = ["--alpha", "0.3", "--alpha", "0.5", "--horizon", "4", "--beta", "0.1"]
    arms = ["--arm", "plain", "--arm", "rose_manual"]
    run("run", *tasks_of(prompts), *arms, *grid, "--part", "all", "--limit", "1", "--out", tmp_path / "run")
    done = Run(tmp_path / "run")
    assert set(done.configuration.arms) == {
        "plain",
        "rose_manual@alpha=0.3,horizon=4,beta=0.1",
        "rose_manual@alpha=0.5,horizon=4,beta=0.1",
    }
    assert len(done.records()) == 6


def test_run_takes_a_policy_and_attacked_tasks(fake, prompts, tmp_path):
    policy = tmp_path / "policy.yaml"
    policy.write_text("version: 1\nhazards:\n  hate: {action: refuse}")
    task = f"harmful_prompts+base64={prompts}"
    run("run", "--task", task, "--arm", "guard", "--policy", policy, "--part", "all", "--out", tmp_path / "run")
    assert {(r.task, r.action) for r in Run(tmp_path / "run").records()} == {("harmful_prompts+base64", "refuse")}


def test_a_file_that_does_not_fit_is_an_error_that_names_its_line(fake, tmp_path):
    path = tmp_path / "wrong.jsonl"
    path.write_text('{"id": "1", "text": "x"}\n{"id": "2"}\n')
    result = run("run", "--task", f"benign_prompts={path}", "--out", tmp_path / "run")
    assert isinstance(result.exception, InputError)
    assert "wrong.jsonl:2" in str(result.exception)


@pytest.mark.parametrize(
    "arguments",
    [
        ["run"],
        ["run", "--task", "benign_prompts=x"],
        ["run", "--task", "benign_prompts", "--out", "x"],
        ["run", "--task", "no_such_task=x", "--out", "x"],
        ["run", "--task", "harmful_prompts+no_such_attack=x", "--out", "x"],
        ["run", "--task", "benign_prompts=x", "--out", "x", "--arm", "no_such_arm"],
        ["run", "--task", "benign_prompts=x", "--out", "x", "--arm", "rose_null", "--alpha", "1.5"],
        ["run", "--task", "benign_prompts=x", "--out", "x", "--arm", "cfg", "--horizon", "4"],
        ["run", "--task", "benign_prompts=x", "--out", "x", "--part", "some"],
        ["run", "--task", "benign_prompts=x", "--out", "x", "--limit", "0"],
        ["report", "FOLDER", "--judge", "no_such_judge"],
        ["report", "FOLDER", "--fail-under", "safety"],
        ["report", "FOLDER", "--fail-under", "safety=high"],
        ["report", "FOLDER", "--fail-under", "no_such_figure=1"],
        ["report", "FOLDER", "--fail-under", "safety=0.5", "--arm", "no_such_arm"],
        ["report", "FOLDER", "--part", "some"],
        ["labels", "FOLDER"],
        ["nonsense"],
        [],
    ],
    ids=" ".join,
)
def test_a_wrong_call_exits_2(folder, arguments):
    assert run(*[str(folder) if each == "FOLDER" else each for each in arguments]).exit_code == 2


def test_report_shows_every_arm_and_holds_no_prompt_and_no_answer(folder):
    shown = run("report", folder, "--judge", "pattern", "--part", "all").stdout
    assert "| plain |" in shown
    assert "| guard |" in shown
    assert REFUSAL not in shown
    assert "plus" not in shown


def test_report_json_is_one_object_with_the_figures(folder):
    told = json.loads(run("report", folder, "--judge", "pattern", "--part", "all", "--json").stdout)
    over = [m for m in told["measurements"] if m["figure"] == "over_refusal" and m["scope"]["kind"] == "all"]
    assert {(m["arm"], m["estimate"]["mean"]) for m in over} == {("plain", 1.0), ("guard", 1.0)}
    assert told["about"]["records"] == "16 of 16"


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        (["safety=1.0"], 0),
        (["over_refusal=0.5"], 1),
        (["safety=1.0", "over_refusal=0.5"], 1),
        (["safety=1.0", "over_refusal=1.0"], 0),
        (["accuracy=0.1"], 1),
    ],
)
def test_fail_under_exits_1_where_a_figure_is_worse_or_was_not_measured(folder, limits, code):
    asked = [part for limit in limits for part in ("--fail-under", limit)]
    result = run("report", folder, "--judge", "pattern", "--part", "all", *asked)
    assert result.exit_code == code
    assert bool(result.stderr) == bool(code)


def test_fail_under_exits_1_where_the_run_was_cut_off(folder):
    asked = ["report", folder, "--judge", "pattern", "--part", "all", "--fail-under", "safety=0.9"]
    assert run(*asked).exit_code == 0
    records = folder / "records.jsonl"
    records.write_text("".join(records.read_text().splitlines(keepends=True)[:1]))
    result = run(*asked)
    assert result.exit_code == 1
    assert "guard" in result.stderr
    assert "4 of 4 have no record: finish the run by the same `rose-guard eval run` command" in result.stderr
    assert "15 of 16 records are not there" in result.stdout
    assert run(*asked, "--arm", "plain").exit_code == 1


def test_report_measures_judges_by_labelled_answers(folder, tmp_path):
    known = tmp_path / "known.jsonl"
    rows = [{"prompt": "Why?", "response": text, "refused": said} for text, said in ((REFUSAL, True), ("Rain.", False))]
    known.write_text("".join(json.dumps(row) + "\n" for row in rows))
    told = json.loads(
        run("report", folder, "--judge", "pattern", "--labelled", known, "--part", "all", "--json").stdout
    )
    (judge,) = told["judges"]
    assert [(a["source"], a["question"], a["agreement"]["mean"]) for a in judge["accuracy"]] == [
        ("known", "refusal", 1.0)
    ]


def test_report_draws_the_curves_into_a_file(folder, tmp_path):
    pytest.importorskip("matplotlib")
    for ending, beginning in ((".svg", b"<?xml"), (".png", b"\x89PNG")):
        path = tmp_path / f"curves{ending}"
        assert run("report", folder, "--judge", "pattern", "--part", "all", "--curves", path).exit_code == 0
        assert path.read_bytes().startswith(beginning)
    assert run("report", folder, "--part", "all", "--curves", tmp_path / "curves.pdf").exit_code == 2


def test_two_files_of_labels_of_one_name_are_refused(folder, tmp_path):
    paths = [tmp_path / name / "known.jsonl" for name in ("a", "b")]
    for path in paths:
        path.parent.mkdir()
        path.write_text(json.dumps({"prompt": "Why?", "response": "Rain.", "refused": False}) + "\n")
    asked = [part for path in paths for part in ("--labelled", path)]
    result = run("report", folder, "--judge", "pattern", "--part", "all", *asked)
    assert result.exit_code == 2
    assert "known" in result.stderr


def test_labels_of_which_no_judge_speaks_are_an_error(folder, tmp_path):
    known = tmp_path / "known.jsonl"
    known.write_text(json.dumps({"prompt": "Why?", "response": "Rain.", "followed": True}) + "\n")
    result = run("report", folder, "--judge", "pattern", "--labelled", known, "--part", "all")
    assert isinstance(result.exception, InputError)
    assert "known" in str(result.exception)


def test_report_writes_a_page_that_stands_by_itself(folder, tmp_path):
    pytest.importorskip("matplotlib")
    page = tmp_path / "page.html"
    assert run("report", folder, "--judge", "pattern", "--part", "all", "--html", page).exit_code == 0
    assert page.stat().st_mode & 0o077 == 0
    text = page.read_text()
    assert "guard" in text
    assert "<script" not in text
    gone = run("report", folder, "--part", "all", "--html", tmp_path / "no" / "page.html")
    assert isinstance(gone.exception, InputError)


def test_a_folder_without_a_run_is_an_error(tmp_path):
    for arguments in (["report", tmp_path], ["export", tmp_path, tmp_path / "x.csv"]):
        assert isinstance(run(*arguments).exception, InputError)


def test_labels_come_back_and_tell_how_far_a_judge_agrees(folder, tmp_path):
    sheet = tmp_path / "sheet.csv"
    assert "4 answers to label" in run("export", folder, sheet).stdout
    with sheet.open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    assert not any(arm in json.dumps(rows) for arm in ("plain", "guard"))
    for index, row in enumerate(rows):
        row["refused"] = "yes" if index else "no"
    with sheet.open("w", newline="", encoding="utf-8-sig") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    assert "16 answers of the run are labelled" in run("labels", folder, sheet).stdout
    lines = run("labels", folder, sheet, "--judge", "pattern", "--json").stdout.splitlines()
    kappas = {told["question"]: told["kappa"] for told in map(json.loads, lines)}
    assert kappas["refusal"] < 1.0


def _labelled_by(folder, path, *, refused):
    path.parent.mkdir(exist_ok=True)
    assert run("export", folder, path).exit_code == 0
    rows = [json.loads(line) | {"refused": refused} for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return f"human:{path}"


def test_report_tells_how_far_people_and_judges_agree(folder, tmp_path):
    ann, bo = (_labelled_by(folder, tmp_path / f"{name}.jsonl", refused=name == "ann") for name in ("ann", "bo"))
    asked = ["report", folder, "--judge", ann, "--judge", bo, "--judge", "pattern", "--part", "all"]
    told = json.loads(run(*asked, "--json").stdout)["agreements"]
    refusals = [a for a in told if a["question"] == "refusal"]
    assert [(a["judge"], a["agreed"]["mean"]) for a in refusals] == [
        ("human:ann", 0.0),  # with the other person
        ("human:ann", 1.0),  # with the phrases
        ("human:bo", 0.0),
    ]
    shown = run(*asked).stdout
    assert "## Agreement between judges" in shown
    assert "| human:ann | human:bo | refusal | 8 (few) | 0.000" in shown


def test_two_judges_of_one_name_are_refused(folder, tmp_path):
    same = [_labelled_by(folder, tmp_path / name / "sheet.jsonl", refused=True) for name in ("a", "b")]
    result = run("report", folder, "--judge", same[0], "--judge", same[1], "--part", "all")
    assert result.exit_code == 2
    assert "human:sheet" in result.stderr


def test_tasks_and_arms_are_listed_with_what_a_user_must_know(tmp_path):
    tasks = [json.loads(line) for line in run("tasks", "--json").stdout.splitlines()]
    assert [task["name"] for task in tasks] == list(TASKS)
    assert all(task["columns"] and task["licence"] and task["source"] for task in tasks)
    arms = [json.loads(line) for line in run("arms", "--json").stdout.splitlines()]
    assert [arm["name"] for arm in arms] == list(ARMS)
    assert all(name in run("tasks").stdout for name in TASKS)
    assert all(name in run("arms").stdout for name in ARMS)
