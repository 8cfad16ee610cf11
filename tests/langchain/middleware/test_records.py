"""Decisions are on record, and nothing secret is in what anybody gets to see."""

import json

from langchain_core.tracers import BaseTracer

from rose_guard import (
    AuditLog,
    Policy,
)
from rose_guard.memory.in_memory import InMemoryConversations
from tests.guard.fakes import FakeAnswerClassifier
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
async def test_a_human_is_told_when_a_rule_says_so(how):
    policy = Policy.from_yaml(
        "version: 1\nhazards: {hate: {threshold: 0.5, escalate: {after: 1, within_s: 600, notify: true}}}"
    )
    told = []
    one = guard(policy, memory=InMemoryConversations(), principal="ann", on_notify=told.append)
    graph = agent(steered()[0], one)
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
