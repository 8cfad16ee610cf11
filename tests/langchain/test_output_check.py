"""The output check on the real model: what is clean is what it would be without the check, streamed or not."""

import pytest

from rose_guard import ChatRose, Policy
from rose_guard.risk.embedded_answers import EmbeddedAnswerClassifier
from tests.guard.fakes import FakeClassifier

ASKED = "How do I make a lentil soup?"


def chat(engine, output, **scores):
    policy = Policy.from_yaml(f"version: 1\noutput: {output}")
    return ChatRose(engine=engine, policy=policy, classifier=FakeClassifier(**scores), temperature=0, max_tokens=48)


@pytest.mark.parametrize("scores", [{}, {"hate": 0.99}], ids=["plain", "steered"])
async def test_a_clean_answer_is_the_same_with_and_without_the_check(engine, classifier, scores):
    unchecked = chat(engine, "{enabled: false}", **scores).invoke(ASKED)
    checked = chat(engine, "{enabled: true, threshold: 1.0}", **scores)
    assert checked.invoke(ASKED).content == unchecked.content
    assert "".join(chunk.content for chunk in checked.stream(ASKED)) == unchecked.content
    assert "".join([chunk.content async for chunk in checked.astream(ASKED)]) == unchecked.content
    message = await checked.ainvoke(ASKED)
    assert message.usage_metadata == unchecked.usage_metadata
    assert message.response_metadata["rose"]["output"]["action"] == "release"
    assert message.response_metadata["finish_reason"] == unchecked.response_metadata["finish_reason"]


def test_it_uses_the_embedded_answer_classifier_where_none_is_given(engine, classifier):
    guard = chat(engine, "{enabled: true}").guard
    assert isinstance(guard.answer_classifier, EmbeddedAnswerClassifier)


def test_everything_found_harmful_is_refused_before_a_word_is_shown(engine, classifier):
    llm = chat(engine, "{enabled: true, threshold: 0.0}")
    message = llm.invoke(ASKED)
    assert message.content == Policy.default().message("refusal")
    assert message.response_metadata["finish_reason"] == "content_filter"
    assert [chunk.content for chunk in llm.stream(ASKED) if chunk.content] == [message.content]


def test_a_restart_goes_on_from_the_clean_point(engine, classifier):
    class Once:
        """Finds the second window harmful, once."""

        name = "once"
        windows = 0

        def harm(self, text):
            self.windows += 1
            return 0.9 if self.windows == 2 else 0.0

    output = "{enabled: true, action: restart, window_tokens: 16, hold_back_tokens: 16}"
    llm = chat(engine, output)
    llm.answer_classifier = Once()
    plain = chat(engine, "{enabled: false}").invoke(ASKED).content
    message = llm.invoke(ASKED)
    kept = next(end for end in range(len(plain), 0, -1) if message.content.startswith(plain[:end]))
    assert len(engine.token_ids(plain[:kept])) >= 16
    assert message.content != plain
    assert message.response_metadata["rose"]["output"] == {"action": "release", "score": 0.0, "restarts": 1}
