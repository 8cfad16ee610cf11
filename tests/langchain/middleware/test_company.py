"""Beside other middleware, before it or behind it: nobody reads what was refused, and nothing runs that was."""

import pytest
from langchain.agents.middleware import (
    AgentMiddleware,
    HumanInTheLoopMiddleware,
    SummarizationMiddleware,
    ToolRetryMiddleware,
    hook_config,
)
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from rose_guard import PolicyViolation
from rose_guard.langchain.middleware import RoseGuardMiddleware
from tests.guard.fakes import FakeAnswerClassifier, FakeClassifier
from tests.langchain.middleware.agents import (
    CHECKING,
    EITHER,
    NO,
    POLICY,
    Foreign,
    Recorder,
    Wordy,
    agent,
    call,
    guard,
    rose_call,
    run,
    steered,
    texts,
    user,
)

THREAD = {"configurable": {"thread_id": "first"}}
ORDERS = pytest.mark.parametrize("first", [True, False], ids=["guard first", "guard last"])


def chain(first, one, other):
    return [one, other] if first else [other, one]


def summarising(says="a summary"):
    """A middleware that has a model of its own sum up all but the last message, and that model."""
    model = Foreign(says)
    return SummarizationMiddleware(model=model, trigger=("messages", 3), keep=("messages", 1)), model


def long(*questions):
    return {"messages": [each for text in questions for each in (("user", text), ("ai", "fine"))][:-1]}


@EITHER
async def test_a_model_that_sums_up_behind_the_guard_is_not_asked_with_what_was_refused(how):
    other, summary = summarising()
    graph = agent(steered()[0], guard(), other)
    assert texts(await run(graph, long("hello", "a secret", "hello"), how))[-1] == NO
    with pytest.raises(PolicyViolation):
        await run(graph, long("hello", "libel", "hello"), how)
    assert summary.asked == []


@EITHER
@ORDERS
async def test_a_summary_is_judged_before_the_model_reads_it(how, first):
    for says, answered in (("a secret", NO), ("the talk so far", "fine")):
        model, engine = steered()
        state = await run(agent(model, *chain(first, guard(), summarising(says)[0])), long("a", "b", "c"), how)
        assert texts(state)[-1].strip() == answered
        assert "secret" not in str(engine.requests)


@EITHER
@ORDERS
@pytest.mark.parametrize("kind", ["rose", "foreign", "own policy"])
@pytest.mark.parametrize(("decision", "looked"), [("approve", ["the weather"]), ("reject", [])])
async def test_a_call_runs_if_a_human_says_so(how, first, kind, decision, looked):
    model = {
        "rose": lambda: steered(rose_call(), "done")[0],
        "foreign": lambda: Foreign(call(), "done"),
        "own policy": lambda: steered(rose_call(), "done", policy=POLICY, classifier=Wordy())[0],
    }[kind]()
    recorder, human = Recorder("sunny"), HumanInTheLoopMiddleware({"look": True})
    one = guard(CHECKING, answer_classifier=FakeAnswerClassifier("nasty"))
    graph = agent(model, *chain(first, one, human), tools=[recorder.tool], checkpointer=InMemorySaver())
    assert "__interrupt__" in await run(graph, user("hello"), how, THREAD)
    state = await run(graph, Command(resume={"decisions": [{"type": decision}]}), how, THREAD)
    assert recorder.calls == looked
    assert texts(state)[-1].strip() == "done"


@EITHER
@ORDERS
async def test_a_human_is_not_asked_about_a_call_that_was_found_harmful(how, first):
    model, _ = steered(rose_call("some nasty news"), policy=POLICY, classifier=Wordy())
    one = guard(CHECKING, answer_classifier=FakeAnswerClassifier("nasty"))
    human = HumanInTheLoopMiddleware({"look": True})
    graph = agent(model, *chain(first, one, human), tools=[Recorder("x").tool], checkpointer=InMemorySaver())
    state = await run(graph, user("hello"), how, THREAD)
    assert "__interrupt__" not in state
    assert texts(state)[-1] == NO


@EITHER
async def test_who_jumps_over_the_last_step_jumps_over_no_check(how):
    class Jumping(AgentMiddleware):
        @hook_config(can_jump_to=["end"])
        def after_model(self, state, runtime):
            return {"jump_to": "end"}

    model, _ = steered("some nasty news", policy=POLICY, classifier=Wordy())
    one = guard(CHECKING, answer_classifier=FakeAnswerClassifier("nasty"))
    assert texts(await run(agent(model, one, Jumping()), user("hello"), how))[-1] == NO


@EITHER
@ORDERS
@pytest.mark.parametrize(("gives", "exit_behavior"), [("libel", "end"), ("ignore it", "error")])
async def test_a_retry_runs_no_tool_again_whose_result_was_blocked(how, first, gives, exit_behavior):
    model, engine = steered(rose_call(), "done")
    recorder, retry = Recorder(gives), ToolRetryMiddleware(max_retries=2, initial_delay=0, jitter=False)
    graph = agent(model, *chain(first, guard(exit_behavior=exit_behavior), retry), tools=[recorder.tool])
    with pytest.raises(PolicyViolation):
        await run(graph, user("hello"), how)
    assert len(recorder.calls) == len(engine.requests) == 1


@EITHER
async def test_what_a_tool_that_ends_the_run_gives_is_blocked_too(how):
    recorder = Recorder("libel")
    recorder.tool.return_direct = True
    with pytest.raises(PolicyViolation):
        await run(agent(steered(rose_call())[0], tools=[recorder.tool]), user("hello"), how)


@EITHER
@ORDERS
async def test_of_two_guards_the_stricter_one_holds(how, first):
    class Second(RoseGuardMiddleware):
        """Another one, since an agent takes no two of a class."""

    model, engine = steered()
    lax = Second(POLICY, classifier=FakeClassifier())
    await run(agent(model, *chain(first, guard(), lax)), user("something spiteful"), how)
    assert engine.requests[0].reverse_prompts


@EITHER
@ORDERS
async def test_of_two_guards_each_checks_the_answer(how, first):
    class Second(RoseGuardMiddleware):
        """Another one."""

    lax = Second(POLICY, classifier=Wordy())
    strict = guard(CHECKING, answer_classifier=FakeAnswerClassifier("nasty"))
    for question in ("hello", "something spiteful"):
        state = await run(agent(steered("some nasty news")[0], *chain(first, strict, lax)), user(question), how)
        assert texts(state)[-1].strip() == NO
