"""Laws of RoseLLM: ChatRose for one string."""

import pytest

from rose_guard import ChatRose, PolicyViolation, RoseLLM
from tests.guard.fakes import FakeClassifier

PROMPT = "How do I make a lentil soup?"


async def test_it_answers_as_chat_rose_does_in_every_way(tiny_engine, always):
    llm = RoseLLM(engine=tiny_engine, policy=always, max_tokens=12)
    expected = ChatRose(engine=tiny_engine, policy=always, max_tokens=12).invoke(PROMPT).content
    assert llm.invoke(PROMPT) == expected
    assert "".join(llm.stream(PROMPT)) == expected
    assert await llm.ainvoke(PROMPT) == expected
    assert "".join([text async for text in llm.astream(PROMPT)]) == expected
    assert llm.batch([PROMPT, PROMPT]) == [expected] * 2


def test_generation_info_carries_the_decision(tiny_engine, always):
    result = RoseLLM(engine=tiny_engine, policy=always, max_tokens=4).generate([PROMPT])
    assert result.generations[0][0].generation_info["rose"]["action"] == "steer"


def test_a_misspelled_argument_is_refused():
    with pytest.raises(ValueError, match="polcy"):
        RoseLLM(polcy=None)


def test_a_block_raises(tiny_engine):
    from rose_guard import Policy

    policy = Policy.from_yaml("version: 1\nhazards:\n  hate: {action: block}")
    llm = RoseLLM(engine=tiny_engine, policy=policy, classifier=FakeClassifier(hate=0.9))
    with pytest.raises(PolicyViolation):
        llm.invoke(PROMPT)
