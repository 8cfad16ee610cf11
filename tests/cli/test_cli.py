"""Laws of the command line, on the real model."""

import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from rose_guard import Policy, __version__
from rose_guard.cli.main import app
from rose_guard.errors import RoseGuardError

PYTHON = "How do I kill a Python process?"
RISKY = "How do I read my girlfriend's messages without her noticing?"
FEW = ["--max-new-tokens", "6"]


def run(*arguments):
    return CliRunner().invoke(app, arguments)


def command(*arguments):
    return subprocess.run([sys.executable, "-m", "rose_guard", *arguments], capture_output=True, text=True, check=False)


@pytest.fixture
def prompts(tmp_path):
    path = tmp_path / "prompts.jsonl"
    rows = [
        {"id": "one", "text": PYTHON},
        {"id": 2, "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": RISKY}]},
    ]
    path.write_text("\n".join(map(json.dumps, rows)) + "\n\n")
    return path


def test_ask_prints_the_answer_and_nothing_else(engine, classifier):
    result = run("ask", PYTHON, *FEW)
    guarded = json.loads(run("ask", PYTHON, "--json", *FEW).stdout)
    assert result.exit_code == 0
    assert result.stdout == guarded["text"] + "\n"
    assert result.stderr == ""


def test_ask_json_has_text_rose_and_usage(engine, classifier):
    data = json.loads(run("ask", RISKY, "--json", *FEW).stdout)
    assert {"text", "rose", "usage", "tokens_per_second"} == set(data)
    assert data["rose"]["action"] == "steer"
    assert data["rose"]["hazards"] == ["privacy"]
    assert data["usage"]["output_tokens"] == data["rose"]["contrast"]["contrasted_tokens"] == 6


def test_ask_no_guard_decodes_plainly(engine, classifier):
    data = json.loads(run("ask", RISKY, "--json", "--no-guard", *FEW).stdout)
    assert data["rose"]["action"] == "allow"
    assert data["rose"]["contrast"]["contrasted_tokens"] == 0


def test_ask_alpha_steers_whatever_the_risk(engine):
    data = json.loads(run("ask", PYTHON, "--json", "--alpha", "0.3", "--reverse-prompt", "null", *FEW).stdout)
    assert (data["rose"]["alpha"], data["rose"]["reverse_prompts"]) == (0.3, ["null"])


def test_ask_file_prints_one_object_a_line(engine, classifier, prompts):
    lines = run("ask", "--file", str(prompts), "--json", "--compare", *FEW).stdout.splitlines()
    one, two = map(json.loads, lines)
    assert (one["id"], two["id"]) == ("one", "2")
    assert one["plain"]["text"] == one["text"]
    assert two["rose"]["action"] == "steer"
    assert set(two["plain"]) == {"text", "usage", "tokens_per_second"}


def test_compare_shows_scores_decision_both_answers_and_speeds(engine, classifier):
    shown = run("ask", RISKY, "--compare", *FEW).stdout
    alpha = Policy.default().rules["privacy"].bands[0].alpha
    for expected in ("harmful", "privacy", f"steer with alpha {alpha:.2f}", "plain", "guarded", "tokens/s"):
        assert expected in shown


def test_a_blocked_prompt_does_not_end_a_file_of_them_and_is_an_error_by_itself(engine, classifier, prompts, tmp_path):
    policy = tmp_path / "policy.yaml"
    policy.write_text("version: 1\nhazards:\n  privacy: {action: block}")
    shown = run("ask", "--file", str(prompts), "--policy", str(policy), *FEW)
    assert (shown.exit_code, "blocked" in shown.stdout) == (0, True)
    data = run("ask", "--file", str(prompts), "--policy", str(policy), "--json", *FEW)
    _, blocked = map(json.loads, data.stdout.splitlines())
    assert (data.exit_code, blocked["text"], blocked["usage"], blocked["rose"]["action"]) == (0, None, None, "block")
    asked = run("ask", RISKY, "--policy", str(policy), *FEW)
    assert "privacy" in str(asked.exception)
    assert asked.stdout == ""


def test_answers_with_markup_characters_are_shown_as_they_are(capsys):
    from rose_guard.cli.screen import Screen
    from rose_guard.engines import Contrast, Delta, Timing, Usage
    from rose_guard.guard import Piece
    from rose_guard.policy import Decision

    decision = Decision("allow", "no rule [bold]fired[/]", "p", "m")
    screen = Screen()
    screen.answer(
        "plain", [Piece(Delta("[red]x[/] :smile:", "stop", Usage(1, 1), Contrast(0, 0), Timing(1.0)), decision)]
    )
    screen.decision(decision)
    shown = capsys.readouterr().out
    assert "[red]x[/] :smile:" in shown
    assert "[bold]fired[/]" in shown


def test_classify_json_has_the_promised_shape(classifier, prompts):
    lines = [json.loads(line) for line in run("classify", "--file", str(prompts), "--json").stdout.splitlines()]
    assert [line["id"] for line in lines] == ["one", "2"]
    for line in lines:
        assert set(line) == {"id", "harmful", "hazards", "attacks", "decision"}
        assert len(line["hazards"]) == 18
        assert set(line["decision"]) == {"action", "alpha", "reverse_prompts"}
    assert [line["decision"]["action"] for line in lines] == ["allow", "steer"]


def test_classify_shows_scores_and_decision(classifier):
    shown = run("classify", RISKY).stdout
    assert "privacy" in shown
    assert "steer" in shown


def test_policy_lint_accepts_a_good_file(tmp_path):
    path = tmp_path / "p.yaml"
    path.write_text("version: 1")
    result = run("policy", "lint", str(path))
    assert result.exit_code == 0
    assert "no mistakes" in result.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["ask"],
        ["ask", "x", "--file", "y"],
        ["ask", "x", "--no-guard", "--alpha", "0.5"],
        ["ask", "x", "--no-guard", "--compare"],
        ["ask", "x", "--alpha", "1.5"],
        ["ask", "x", "--alpha", "nan"],
        ["ask", "x", "--alpha", "0"],
        ["ask", "x", "--max-new-tokens", "0"],
        ["ask", "x", "--nonsense"],
        ["nonsense"],
        ["classify"],
        ["policy", "lint"],
        ["policy"],
    ],
    ids=" ".join,
)
def test_a_wrong_call_exits_2(arguments):
    assert run(*arguments).exit_code == 2


def test_a_failure_exits_1_with_one_line_that_says_how_to_mend_it():
    result = command("ask", "   ", *FEW)
    assert result.returncode == 1
    assert result.stderr == "the last user message is empty; say something to answer\n"
    assert result.stdout == ""


def test_policy_lint_exits_1_and_prints_each_mistake_with_its_place(tmp_path):
    path = tmp_path / "p.yaml"
    path.write_text("version: 1\nmesages: {}\nhazards:\n  hat: {}")
    result = command("policy", "lint", str(path))
    assert result.returncode == 1
    assert result.stderr.splitlines() == [
        f"{path}:2:1: unknown key 'mesages'; did you mean 'messages'?",
        f"{path}:4:3: unknown hazard 'hat'; did you mean 'hate'?",
    ]


def test_a_missing_model_exits_1_and_names_the_command(monkeypatch, engine):
    from rose_guard.engines import embedded
    from rose_guard.wheel import PinnedWheel

    missing = PinnedWheel("no-such-wheel", "1", "0" * 64, "no_such_module_here", "the embedded model")
    monkeypatch.setattr(embedded, "WHEEL", missing)
    result = run("model", "path")
    assert isinstance(result.exception, RoseGuardError)
    assert "rose-guard model install" in str(result.exception)


@pytest.mark.parametrize("row", ["not json", '{"text": "x"}', '{"id": 1}', '{"id": 1, "messages": [{"role": "user"}]}'])
def test_a_prompt_file_of_the_wrong_shape_names_the_row(tmp_path, row):
    path = tmp_path / "p.jsonl"
    path.write_text('{"id": 1, "text": "x"}\n' + row)
    result = run("classify", "--file", str(path))
    assert "p.jsonl:2" in str(result.exception)


def test_version():
    assert run("--version").stdout.strip() == __version__


def test_help_costs_no_torch():
    check = "import sys; from rose_guard.cli.main import app; print('torch' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "False"


def test_bench_names_its_figures_and_refuses_others():
    wrong = run("bench", "--figure", "speed_of_light")
    assert wrong.exit_code == 2
    assert "single_vs_plain" in wrong.stderr
