"""A decision counts for the messages that it was made for, and no caller can set it."""

from hypothesis import given
from hypothesis import strategies as st
from langchain.agents.middleware import AgentMiddleware
from langchain_core.messages import HumanMessage

from rose_guard.langchain.middleware.recent import Recent
from tests.langchain.middleware.agents import (
    EITHER,
    NO,
    agent,
    guard,
    run,
    steered,
    texts,
    user,
)


def test_no_caller_can_set_the_decision():
    """A decision of an earlier, harmless run must not pass for one on other messages, nor come in at all."""
    model, engine = steered()
    graph = agent(model)
    known = list(graph.stream(user("hello"), stream_mode="values"))[-1]["rose_decision"]
    values = list(graph.stream({**user("a secret"), "rose_decision": known}, stream_mode="values"))
    assert "rose_decision" not in values[0]
    assert texts(values[-1])[-1] == NO
    assert len(engine.requests) == 1


@EITHER
async def test_a_decision_that_got_into_the_state_counts_for_its_own_messages_alone(how):
    class Forger(AgentMiddleware):
        """Puts the id of a harmless decision, and other messages, where the guard's stand."""

        def before_model(self, state, runtime):
            return {"rose_decision": known, "messages": [HumanMessage("a secret", id="first")]}

        async def abefore_model(self, state, runtime):
            return self.before_model(state, runtime)

    model, engine = steered()
    one = guard()
    hello = {"messages": [HumanMessage("hello", id="first")]}
    known = list(agent(model, one).stream(hello, stream_mode="values"))[-1]["rose_decision"]
    state = await run(agent(model, one, Forger()), hello, how)
    assert texts(state)[-1] == NO
    assert len(engine.requests) == 1


@given(st.lists(st.integers(0, 5), max_size=20))
def test_what_was_kept_last_is_found(keys):
    recent = Recent(3)
    for key in keys:
        assert recent.keep(key, -key) == -key
    distinct = list(dict.fromkeys(reversed(keys)))
    assert [recent.find(key) for key in distinct] == [-key for key in distinct[:3]] + [None] * len(distinct[3:])
