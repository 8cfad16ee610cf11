"""LangChain's own standard unit tests."""

import pytest
from langchain_tests.unit_tests import ChatModelUnitTests

from rose_guard import ChatRose


class TestChatRoseStandard(ChatModelUnitTests):
    @property
    def chat_model_class(self):
        return ChatRose

    @property
    def chat_model_params(self):
        return {}


def test_constructing_loads_no_weights():
    """The suite's own timing fixture is a benchmark; this is the law behind it."""
    import time

    ChatRose()
    started = time.perf_counter()
    for _ in range(10):
        ChatRose()
    assert time.perf_counter() - started < 2


@pytest.mark.parametrize(
    "name", ["temperature", "max_tokens", "timeout", "stop", "max_retries", "api_key", "streaming"]
)
def test_standard_parameters_are_accepted(name):
    values = {"stop": ["x"], "api_key": "secret", "streaming": True, "max_tokens": 5, "max_retries": 1, "timeout": 1}
    model = ChatRose(**{name: values.get(name, 0.5)})
    assert "secret" not in repr(model)
