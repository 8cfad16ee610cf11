"""Decisions are on record, and nothing secret is in what anybody gets to see."""

import json

import pytest
from langchain_core.tracers import BaseTracer

from rose_guard import (
    AuditLog,
    Policy,
)
from rose_guard.audit.private import Private
from rose_guard.memory.in_memory import InMemoryConversations
from tests.guard.fakes import FakeAnswerClassifier, Trail
from tests.langchain.middleware.agents import (
    CHECKING,
    EITHER,
    POLICY,
    Foreign,
    Wordy,
    agent,
    guard,
    run,
    steered,
    user,
)


def test_every_decision_and_verdict_is_in_the_audit_log_without_texts(tmp_path):
    with AuditLog(tmp_path, b"k" * 32, fsync="never") as log:
        model = steered("some nasty news", policy=POLICY, classifier=Wordy())[0]
        one = guard(CHECKING, answer_classifier=FakeAnswerClassifier("nasty"), audit=log)
        state = agent(model, one).invoke(user("hello there"))
    written = "\n".join(path.read_text() for path in tmp_path.glob("*.jsonl"))
    lines = [json.loads(line) for line in written.splitlines()]
    kinds = [line["kind"] for line in lines if line["kind"] in ("decision", "output", "end")]
    assert kinds == ["decision", "output", "end"]
    assert state["messages"][-1].response_metadata["rose"]["decision_id"] in written
    assert "hello" not in written
    assert "news" not in written


@EITHER
@pytest.mark.parametrize("kind", ["rose", "foreign"])
async def test_what_is_found_while_an_answer_is_written_is_on_record_under_whose_agent_it_is(how, kind):
    lines = []

    class Lines(Trail):
        def append(self, kind, payload):
            lines.append((kind, payload))

    model = Foreign("some nasty news") if kind == "foreign" else steered("some nasty news")[0]
    one = guard(CHECKING, answer_classifier=FakeAnswerClassifier("nasty"), audit=Lines(), principal="ann")
    state = await run(agent(model, one), user("hello"), how)
    decisions = [payload for kind, payload in lines if kind == "decision"]
    (found,) = [payload for kind, payload in lines if kind == "output"]
    assert (found["verdict"], found["action"]) == ("harmful", "refuse")
    assert found["decision_id"] == state["messages"][-1].response_metadata["rose"]["decision_id"]
    assert found["decision_id"] in [decision["decision_id"] for decision in decisions]
    assert [decision["principal"] for decision in decisions] == [Private("principal", [None, "ann"])] * 2


@EITHER
@pytest.mark.parametrize("kind", ["rose", "foreign"])
async def test_a_human_is_told_when_a_rule_says_so(how, kind):
    policy = Policy.from_yaml(
        "version: 1\nunsteerable: warn\n"
        "hazards: {hate: {threshold: 0.5, escalate: {after: 1, within_s: 600, notify: true}}}"
    )
    told = []
    one = guard(policy, memory=InMemoryConversations(), principal="ann", on_notify=told.append)
    graph = agent(Foreign() if kind == "foreign" else steered()[0], one)
    for number in range(2):
        await run(graph, user(f"spiteful {number}"), how)
    assert [decision.notify for decision in told] == [("hate",)]


def test_no_trace_holds_a_reverse_prompt_or_what_was_refused():
    from langsmith._internal._serde import dumps_json

    class Record(BaseTracer):
        seen = b""

        def _persist_run(self, run):
            self.seen += b"".join(dumps_json(each.model_dump()) for each in flat(run))

    def flat(run):
        return [run, *(each for child in run.child_runs for each in flat(child))]

    record = Record()
    for model in (steered()[0], Foreign()):
        agent(
            model, guard(Policy.from_yaml("version: 1\nunsteerable: warn\nhazards: {hate: {threshold: 0.5}}"))
        ).invoke(user("something spiteful"), {"callbacks": [record]})
    assert b"spiteful" in record.seen
    assert POLICY.reverse_prompt("hate")[:30].encode() not in record.seen
    assert POLICY.safe_prompt("hate")[:30].encode() not in record.seen
