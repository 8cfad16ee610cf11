"""Wrong arguments are refused at once; nothing is loaded before it is needed."""

import asyncio

import pytest

from rose_guard import (
    ChatRose,
    Policy,
    PolicyError,
    SettingsError,
)
from rose_guard.langchain.middleware import RoseGuardMiddleware
from tests.langchain.middleware.agents import (
    POLICY,
    agent,
    guard,
    steered,
    user,
)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"policy": None}, SettingsError),
        ({"policy": 42}, SettingsError),
        ({"policy": "no-such-file.yaml"}, PolicyError),
        ({"tenant": "nobody"}, PolicyError),
        ({"exit_behavior": "ignore"}, SettingsError),
        ({"local": "chat-rose"}, SettingsError),
        ({"polcy": POLICY}, TypeError),
    ],
)
def test_a_wrong_argument_is_refused_when_constructing(arguments, error):
    with pytest.raises(error):
        RoseGuardMiddleware(**arguments)


def test_a_tenants_rules_hold():
    policy = Policy.from_yaml(
        "version: 1\nhazards: {hate: {threshold: 0.5}}\ntenants: {strict: {hazards: {hate: {action: refuse}}}}"
    )
    state = agent(steered()[0], guard(policy, tenant="strict")).invoke(user("something spiteful"))
    assert state["messages"][-1].response_metadata["rose"]["action"] == "refuse"


def test_nothing_is_loaded_until_it_is_needed_and_the_embedded_classifier_is_the_default():
    one = RoseGuardMiddleware()
    assert one._bench._judge is None
    assert one._bench.judge.classifier.name.startswith("embedded")


async def test_runs_side_by_side_do_not_mix():
    model, _ = steered()
    graph = agent(model)
    asked = [user("hello"), user("a secret"), user("something spiteful")] * 5
    states = await asyncio.gather(*(graph.ainvoke(each) for each in asked))
    actions = [state["messages"][-1].response_metadata["rose"]["action"] for state in states]
    assert actions == ["allow", "refuse", "steer"] * 5


def test_chat_rose_is_what_local_takes():
    assert RoseGuardMiddleware(local=ChatRose(policy=None))


def test_every_hook_that_may_end_the_run_can():
    """LangChain takes no notice of a jump that was not announced, and would call the model after a refusal."""
    for hook in ("before_model", "abefore_model", "after_model", "aafter_model"):
        assert getattr(RoseGuardMiddleware, hook).__can_jump_to__ == ["end"]
