"""LangChain's own standard tests: unit and integration, on the real model, under the default policy and steered."""

import time

import pytest
from langchain_tests.integration_tests import ChatModelIntegrationTests
from langchain_tests.unit_tests import ChatModelUnitTests

from rose_guard import ChatRose, Policy

UNASKED = "a model of 135M parameters does not choose by itself to call a tool"
COPYING = "steered this strongly, a model of 135M parameters writes Japanese, but not the name that it was given"
both_versions = pytest.mark.parametrize("model", [{}, {"output_version": "v1"}], indirect=True)


class Settings:
    """What the suites are told of ChatRose."""

    @property
    def chat_model_class(self):
        return ChatRose

    @property
    def chat_model_params(self):
        return {}

    @property
    def supports_json_mode(self):
        return True

    @property
    def model_override_value(self):
        return ChatRose()._model_name


class TestUnit(Settings, ChatModelUnitTests):
    pass


@pytest.mark.exact
class TestUnderTheDefaultPolicy(Settings, ChatModelIntegrationTests):
    @both_versions
    @pytest.mark.xfail(reason=UNASKED)
    def test_agent_loop(self, model):
        super().test_agent_loop(model)


class Contrasted:
    """An audit trail that counts the tokens that were decoded, and those of them that were contrasted."""

    def __init__(self):
        self.answers = self.decoded = self.contrasted = 0

    def append(self, kind, payload):
        if kind == "end":
            self.answers += 1
            self.decoded += payload["usage"]["output_tokens"]
            self.contrasted += payload["contrasted_tokens"]


@pytest.mark.exact
class TestSteeredAlways(Settings, ChatModelIntegrationTests):
    audit = Contrasted()

    @property
    def chat_model_params(self):
        return {"policy": Policy.always(alpha=0.5), "audit": self.audit}

    @pytest.fixture(autouse=True)
    def every_step_is_contrasted(self):
        yield
        assert self.audit.contrasted == self.audit.decoded

    @both_versions
    @pytest.mark.xfail(reason=UNASKED)
    def test_agent_loop(self, model):
        super().test_agent_loop(model)

    @pytest.mark.xfail(reason=COPYING)
    def test_unicode_tool_call_integration(self, model):
        super().test_unicode_tool_call_integration(model)

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def something_was_decoded(cls):
        yield
        assert cls.audit.answers > 40


def test_constructing_loads_no_weights():
    """The suite's own timing fixture is a benchmark; this is the law behind it."""
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
