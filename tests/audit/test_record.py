"""Laws of records: what is written of an event, and what never is."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rose_guard import Decision, Message, Policy, RiskAssessment
from rose_guard.assessment import Span
from rose_guard.audit import decision_record, end_record, output_record, restart_record
from rose_guard.audit.private import Private, settled
from rose_guard.message import ToolCall, digest
from rose_guard.taxonomy import ATTACKS, HAZARDS
from tests.audit.samples import KEY, contents, opened

CANARY = "Is the canary in the coal mine happy?"
MESSAGES = (Message("system", "You are Acme's bot."), Message("user", CANARY, name="Anna Canary"))


class Tokens:
    input_tokens = 7
    output_tokens = 9


def assessment(**scores):
    hazards = {**dict.fromkeys(HAZARDS, 0.0), **{k: v for k, v in scores.items() if k in HAZARDS}}
    attacks = {**dict.fromkeys(ATTACKS, 0.0), **{k: v for k, v in scores.items() if k in ATTACKS}}
    spans = {label: Span(1, 3, 9, "base64") for label in (*scores, "privacy")}
    return RiskAssessment(0.98765432, hazards, attacks, spans=spans, classifier="rules 3")


def decision(**fields):
    values = {
        "action": "steer", "reason": "hate at 0.91", "policy_digest": "p" * 64, "messages_digest": digest(MESSAGES),
        "hazards": ("hate",), "branches": (("hate", 0.5), ("generic", 0.1)), "safe_prompt": "hate", "horizon": 8,
        "assessment": assessment(hate=0.912345, jailbreak=0.4),
    }  # fmt: skip
    return Decision(**{**values, **fields})


def test_a_decision_is_told_with_everything_an_auditor_asks_for():
    shadow = decision(action="refuse", hazards=("hate",), attacks=("jailbreak",), message="refusal", branches=())
    judged = decision(
        tenant="clinic", mode="shadow", shadow=shadow, escalated=("hate",), notify=("hate",), severity="high"
    )
    record = decision_record(judged, messages=MESSAGES, principal="anna", thread="t1")
    place = {"message": 1, "start": 3, "end": 9, "view": "base64"}
    assert {name: value for name, value in record.items() if name != "shadow"} == {
        "decision_id": judged.decision_id, "action": "steer", "mode": "shadow", "tenant": "clinic", "hazards": ["hate"],
        "attacks": [], "branches": [["hate", 0.5], ["generic", 0.1]], "safe_prompt": "hate", "horizon": 8,
        "message": None, "reason": "hate at 0.91", "severity": "high", "escalated": ["hate"], "notify": ["hate"],
        "policy_digest": "p" * 64, "classifier": "rules 3",
        "scores": {"harmful": 0.9877, **dict.fromkeys([*HAZARDS, *ATTACKS], 0.0), "hate": 0.9123, "jailbreak": 0.4},
        "spans": {"hate": place, "jailbreak": place},
        "principal": Private("principal", ["clinic", "anna"]), "thread": Private("thread", ["clinic", "t1"]),
        "prompt": Private("prompt", [{"role": m.role, "content": m.content, "name": m.name} for m in MESSAGES]),
    }  # fmt: skip
    assert record["shadow"]["action"] == "refuse"
    assert set(record["shadow"]) == set(record) - {
        "shadow",
        "classifier",
        "scores",
        "spans",
        "principal",
        "thread",
        "prompt",
    }


def test_spans_are_those_of_firing_labels_only():
    assert set(decision_record(decision(), messages=MESSAGES)["spans"]) == {"hate"}


def test_a_decision_without_scores_or_principal_says_so():
    record = decision_record(decision(assessment=None), messages=MESSAGES)
    assert (record["scores"], record["classifier"], record["spans"]) == (None, None, {})
    assert (record["principal"], record["thread"], record["shadow"]) == (None, None, None)


CALL = ToolCall("search", '{"query": "canary"}', "call-1")


def prompt_of(*messages):
    return settled(decision_record(decision(), messages=messages), KEY, clear=True)["prompt"]["clear"]


def test_tools_are_part_of_a_prompt_only_where_there_are_any():
    plain, calls, result = (
        Message("assistant", "hm"),
        Message("assistant", "hm", tool_calls=(CALL,)),
        Message("tool", "found", tool_call_id="call-1"),
    )
    assert prompt_of(plain) == [{"role": "assistant", "content": "hm", "name": None}]
    call = {"name": "search", "arguments": '{"query": "canary"}', "id": "call-1"}
    assert prompt_of(calls) == [{"role": "assistant", "content": "hm", "name": None, "tool_calls": [call]}]
    assert prompt_of(result) == [{"role": "tool", "content": "found", "name": None, "tool_call_id": "call-1"}]


def test_an_end_says_that_an_answer_was_kept_only_where_it_was():
    assert "cached" not in end_record("d", "stop", None, 0, 0, None)
    assert end_record("d", "stop", None, 0, 0, None, cached=True)["cached"] is True


def test_the_other_events_tell_what_happened_to_which_answer():
    assert output_record("d", "harmful", 0.123456, (0, 32), "refuse", index=2) == {
        "decision_id": "d", "index": 2, "verdict": "harmful", "score": 0.1235, "tokens": [0, 32], "action": "refuse",
    }  # fmt: skip
    assert output_record("d", "unscored", None, (0, 1), "refuse")["score"] is None
    assert restart_record("d", 1, 0.6, 12) == {
        "decision_id": "d", "index": 0, "attempt": 1, "alpha": 0.6, "kept_tokens": 12,
    }  # fmt: skip
    assert end_record("d", "stop", Tokens(), 5, 11, "hello world") == {
        "decision_id": "d", "index": 0, "finish_reason": "stop", "usage": {"input_tokens": 7, "output_tokens": 9},
        "contrasted_tokens": 5, "released_characters": 11, "answer": Private("answer", "hello world"),
    }  # fmt: skip
    assert (
        end_record("d", "stop", None, 0, 0, None)["usage"],
        end_record("d", "stop", None, 0, 0, None)["answer"],
    ) == (None, None)


def log_bytes(folder, **settings):
    """A log in which everything stands that a guard puts on record."""
    policy = Policy.default()
    steered = [policy.decide(assessment(**{label: 0.75}), digest(MESSAGES)) for label in (*HAZARDS, *ATTACKS)]
    with opened(folder, **settings) as log:
        for judged in (*steered, decision(shadow=steered[0])):
            log.append(
                "decision", decision_record(judged, messages=MESSAGES, principal="anna-canary", thread="canary-7")
            )
            log.append("output", output_record(judged.decision_id, "clean", 0.1, (0, 3), "release"))
            log.append("restart", restart_record(judged.decision_id, 1, 0.6, 2))
            log.append("end", end_record(judged.decision_id, "stop", Tokens(), 3, 5, f"{CANARY} Yes."))
    assert any(judged.branches for judged in steered)
    return b"".join(contents(folder).values()).decode()


def test_no_prompt_answer_principal_or_guessable_digest_is_ever_in_the_log_by_default(tmp_path):
    written = log_bytes(tmp_path).lower()
    for canary in ("canary", "anna", "happy", "coal", "acme", "yes.", digest(MESSAGES)):
        assert canary not in written


@pytest.mark.parametrize("prompts", ["digest", "clear"])
def test_no_text_of_a_policys_prompts_is_ever_in_the_log(tmp_path, prompts):
    written = log_bytes(tmp_path, prompts=prompts)
    policy = Policy.default()
    for texts in (policy.reverse_prompts, policy.safe_prompts, policy.messages):
        for text in (text for by_language in texts.values() for text in by_language.values() if text):
            assert json.dumps(text)[1:25] not in written


def test_prompts_and_answers_are_in_clear_where_the_log_was_told_so_but_never_who_it_was(tmp_path):
    written = log_bytes(tmp_path, prompts="clear")
    assert json.dumps(CANARY) in written
    assert f"{CANARY} Yes." in written
    assert "anna-canary" not in written
    assert "canary-7" not in written


@given(st.text(), st.text())
def test_equal_texts_have_equal_digests_and_others_do_not(one, other):
    def written(text):
        return settled({"answer": Private("answer", text)}, KEY, clear=False)

    assert (written(one) == written(other)) == (one == other)


def test_a_principal_of_one_tenant_is_not_that_of_another():
    def principal(tenant):
        record = decision_record(decision(tenant=tenant), messages=MESSAGES, principal="anna")
        return settled(record, KEY, clear=True)["principal"]["hmac"]

    assert len({principal("clinic"), principal("school"), principal(None)}) == 3


def test_an_auditor_with_the_key_can_look_for_a_prompt():
    record = settled(decision_record(decision(), messages=MESSAGES), KEY, clear=False)
    text = json.dumps(
        [{"role": m.role, "content": m.content, "name": m.name} for m in MESSAGES],
        sort_keys=True,
        separators=(",", ":"),
    )
    assert record["prompt"]["hmac"] == KEY.digest("prompt", text.encode())


def test_private_values_are_not_in_their_repr():
    assert (
        "canary"
        not in repr(decision_record(decision(), messages=MESSAGES, principal="canary", thread="canary")).lower()
    )
