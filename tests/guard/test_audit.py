"""Laws of the record: a line is durable before anything is shown, and what cannot be recorded is not shown."""

import json

import pytest

from rose_guard import AuditError, Guard, Message, Policy, PolicyViolation
from rose_guard.audit import AuditKey, AuditLog, verify
from rose_guard.guard import GenerationOptions
from tests.guard.fakes import FakeAnswerClassifier, FakeClassifier, FakeEngine, Trail

HI = [Message("user", "my secret words")]
KEY = AuditKey(b"k" * 32)
CHECKING = "version: 1\noutput: {enabled: true, window_tokens: 8, hold_back_tokens: 2, action: restart}\n"
MILD = "hazards: {hate: {alpha: 0.5, safe_prompt: hate, reverse_prompt: hate}}\n"
"""Leaves room for a stronger contrast."""


def guard_for(trail, policy=None, *answers, **scores):
    return Guard(
        FakeEngine(*answers),
        classifier=FakeClassifier(**scores),
        policy=policy or Policy.default(),
        answer_classifier=FakeAnswerClassifier(),
        audit=trail,
    )


def test_the_decision_is_on_record_before_the_first_piece():
    trail = Trail()
    pieces = guard_for(trail).stream(HI)
    next(pieces)
    assert trail.kinds == ["decision"]
    list(pieces)
    assert trail.kinds == ["decision", "end"]


def test_output_verdicts_and_restarts_are_on_record_in_order():
    trail = Trail()
    guard_for(trail, Policy.from_yaml(CHECKING), "a b c bad", "fine").answer(HI)
    assert trail.kinds == ["decision", "restart", "output", "end"]


def test_a_refusal_and_a_block_are_on_record_too():
    for action, kinds in (("refuse", ["decision"]), ("block", ["decision"])):
        trail = Trail()
        guard = guard_for(trail, Policy.from_yaml(f"version: 1\nhazards:\n  hate: {{action: {action}}}"), hate=0.9)
        if action == "block":
            with pytest.raises(PolicyViolation):
                guard.answer(HI)
        else:
            guard.answer(HI)
        assert trail.kinds == kinds
        assert trail.events[0][1]["action"] == action


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_a_decision_that_cannot_be_recorded_is_a_refusal_and_the_model_does_not_run(asynchronous):
    guard = guard_for(Trail("decision"))
    answer = await guard.aanswer(HI) if asynchronous else guard.answer(HI)
    assert (answer.decision.action, answer.text) == ("refuse", Policy.default().message("refusal"))
    assert guard.engine.requests == []


def test_a_block_that_cannot_be_recorded_blocks_all_the_same():
    guard = guard_for(Trail("decision"), Policy.from_yaml("version: 1\nhazards: {hate: {action: block}}"), hate=0.9)
    with pytest.raises(PolicyViolation):
        guard.answer(HI)


@pytest.mark.parametrize("failing", ["decision", "output", "end", "restart"])
def test_on_audit_error_block_raises(failing):
    policy = Policy.from_yaml(CHECKING + "on_audit_error: block")
    with pytest.raises(PolicyViolation, match="recorded"):
        guard_for(Trail(failing), policy, "a b bad", "fine").answer(HI)


@pytest.mark.parametrize("failing", ["output", "end", "restart"])
def test_what_cannot_be_recorded_is_not_shown(failing):
    answer = guard_for(Trail(failing), Policy.from_yaml(CHECKING), "a b bad", "fine").answer(HI)
    assert "fine" not in answer.text
    assert answer.text.endswith(Policy.default().message("refusal"))
    assert answer.last.delta.finish_reason == "content_filter"


def test_what_cannot_be_recorded_follows_on_audit_error_and_not_the_checks_on_error():
    policy = Policy.from_yaml(CHECKING.replace("action: restart", "action: restart, on_error: block"))
    answer = guard_for(Trail("output"), policy, "a b c").answer(HI)
    assert answer.text.endswith(Policy.default().message("refusal"))


def test_a_restart_that_could_not_be_recorded_did_not_happen():
    answer = guard_for(Trail("restart"), Policy.from_yaml(CHECKING), "a b bad", "fine").answer(HI)
    assert answer.last.verdict.restarts == 0


def test_a_line_about_a_stopped_answer_counts_what_was_shown():
    trail = Trail()
    guard_for(trail, Policy.from_yaml(CHECKING.replace("restart", "refuse")), "a b c d bad").answer(HI)
    ((_, output),) = [event for event in trail.events if event[0] == "output"]
    assert (output["tokens"], output["verdict"], output["action"]) == ([0, 4], "harmful", "refuse")


def test_without_the_check_an_unrecorded_end_is_a_refusal_in_its_place():
    answer = guard_for(Trail("end")).answer(HI)
    assert answer.text == f"one two \n\n{Policy.default().message('refusal')}"


def test_an_unrecorded_end_of_which_nothing_was_shown_is_the_message_alone():
    answer = guard_for(Trail("end"), None, "one").answer(HI)
    assert answer.text == Policy.default().message("refusal")


def test_without_a_policy_what_cannot_be_recorded_raises():
    with pytest.raises(AuditError):
        Guard(FakeEngine(), audit=Trail("decision")).answer(HI)


def test_neither_prompts_nor_answers_nor_reverse_prompts_are_in_the_log(tmp_path):
    policy = Policy.from_yaml(CHECKING + MILD)
    with AuditLog(tmp_path, KEY) as log:
        guard = guard_for(log, policy, "an answer nobody may read bad", "fine", hate=0.9)
        guard.answer(HI, options=GenerationOptions(principal="ann@example.org", thread="thread-7"))
    written = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    for secret in ("secret words", "nobody may", "ann@example", "thread-7", policy.reverse_prompt("hate")[:30]):
        assert secret.encode() not in written
    assert verify(tmp_path, KEY).intact
    kinds = [json.loads(line)["kind"] for line in written.splitlines()]
    assert kinds == ["start", "decision", "restart", "output", "end"]


def test_an_answer_is_found_again_by_its_decision(tmp_path):
    with AuditLog(tmp_path, KEY) as log:
        answers = guard_for(log, None).answers([HI, [Message("user", "Bye")]])
    lines = [json.loads(line) for path in tmp_path.iterdir() for line in path.read_bytes().splitlines()]
    for (answer,) in answers:
        kinds = [line["kind"] for line in lines if line["payload"].get("decision_id") == answer.decision.decision_id]
        assert kinds == ["decision", "end"]
