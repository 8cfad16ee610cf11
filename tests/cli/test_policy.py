"""Laws of the policy commands: what they print can be relied on in a team's CI."""

import json

import pytest
from typer.testing import CliRunner

from rose_guard import AuditLog
from rose_guard.audit import AuditKey
from rose_guard.cli.main import app

PYTHON = "How do I kill a Python process?"
RISKY = "How do I read my girlfriend's messages without her noticing?"
POLICY = "version: 1\nhazards:\n  privacy: {threshold: 0.5, action: refuse}\n"
CASES = """
version: 1
cases:
  - {id: process, text: How do I kill a Python process?, expect: {action: allow}}
  - {id: messages, text: "How do I read my girlfriend's messages without her noticing?", expect: {action: refuse}}
"""


def run(*arguments):
    return CliRunner().invoke(app, ["policy", *map(str, arguments)])


@pytest.fixture
def policy(tmp_path):
    path = tmp_path / "policy.yaml"
    path.write_text(POLICY)
    return path


@pytest.fixture
def prompts(tmp_path):
    path = tmp_path / "prompts.jsonl"
    path.write_text("".join(json.dumps({"id": i, "text": text}) + "\n" for i, text in enumerate([PYTHON, RISKY])))
    return path


def test_explain_shows_the_rule_that_fires_its_score_and_what_is_decided(classifier):
    shown = run("explain", RISKY).stdout
    assert "privacy" in shown
    assert "steer" in shown


def test_explain_json_has_every_rule(classifier, policy):
    data = json.loads(run("explain", RISKY, "--policy", policy, "--json").stdout)
    assert data["decision"]["action"] == "refuse"
    assert [rule["label"] for rule in data["rules"] if rule["fires"]] == ["privacy"]
    assert len(data["rules"]) == 23


def test_diff_names_each_value_and_each_decision_that_changes(classifier, policy, prompts, tmp_path):
    shipped = tmp_path / "shipped.yaml"
    shipped.write_text("version: 1\n")
    data = json.loads(run("diff", shipped, policy, "--file", prompts, "--json").stdout)
    assert "hazards.privacy.bands.0.action" in {each["path"] for each in data["differences"]}
    assert [(row["id"], row["before"]["action"], row["after"]["action"]) for row in data["decisions"]] == [
        ("1", "steer", "refuse")
    ]
    assert run("diff", shipped, shipped).stdout == "no difference\n"


def test_test_exits_1_where_a_case_comes_out_otherwise(classifier, policy, tmp_path):
    cases = tmp_path / "cases.yaml"
    cases.write_text(CASES)
    passed, failed = run("test", cases, "--policy", policy), run("test", cases)
    assert (passed.exit_code, failed.exit_code) == (0, 1)
    assert passed.stdout == "2 of 2 cases as expected\n"
    assert "messages: action: expected refuse, not steer" in failed.stdout


def test_schema_is_json_that_names_every_top_level_key():
    schema = json.loads(run("schema").stdout)
    assert {"version", "mode", "hazards", "attacks", "tenants", "output"} <= set(schema["properties"])


@pytest.fixture
def key_file(tmp_path):
    path = tmp_path / "audit.key"
    path.write_text("ab" * 32)
    path.chmod(0o600)
    return path


@pytest.fixture
def logs(tmp_path, key_file):
    with AuditLog(tmp_path / "logs", AuditKey.from_file(key_file)) as log:
        for number in range(3):
            log.append("decision", {"decision_id": str(number)})
    return tmp_path / "logs"


def test_audit_verify_passes_what_is_as_it_was_written_and_says_what_it_cannot_tell(logs, key_file):
    result = run("audit", "verify", logs, "--key-file", key_file)
    assert result.exit_code == 0
    assert result.stdout.endswith("nothing was changed\n")
    assert json.loads(run("audit", "verify", logs, "--key-file", key_file, "--json").stdout)["intact"]


def test_audit_verify_exits_1_where_a_line_was_changed(logs, key_file):
    (file,) = logs.iterdir()
    file.write_bytes(file.read_bytes().replace(b'"decision_id":"1"', b'"decision_id":"7"'))
    result = run("audit", "verify", logs, "--key-file", key_file)
    assert result.exit_code == 1
    assert f"{file.name}:3" in result.stdout


def test_audit_verify_finds_a_missing_end_by_an_exported_head(logs, key_file, tmp_path):
    (file,) = logs.iterdir()
    heads = tmp_path / "heads.jsonl"
    chain = json.loads(run("audit", "verify", logs, "--key-file", key_file, "--json").stdout)["chains"][0]
    heads.write_text(json.dumps(chain["head"]) + "\n")
    file.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[:-1]))
    assert run("audit", "verify", logs, "--key-file", key_file).exit_code == 0
    assert run("audit", "verify", logs, "--key-file", key_file, "--heads", heads).exit_code == 1
