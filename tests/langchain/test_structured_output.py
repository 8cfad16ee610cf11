"""Laws of structured output: a value of the schema, or an error; never half a value, never a refusal in disguise."""

import asyncio
from typing import TypedDict

import pytest
from langchain_core.exceptions import OutputParserException
from pydantic import BaseModel, Field

from rose_guard import ChatRose, PolicyViolation, SettingsError, TruncatedAnswerError
from rose_guard.engines import Delta
from tests.langchain.test_tools import calling

METHODS = ["json_schema", "function_calling", "json_mode"]


class Person(BaseModel):
    """A person."""

    name: str = Field(max_length=8)
    born: int = Field(ge=0, le=9999)


class PersonDict(TypedDict):
    """A person."""

    name: str
    born: int


@pytest.fixture
def llm(roomy_engine, always):
    return ChatRose(engine=roomy_engine, policy=always, max_tokens=200, temperature=1.0, seed=3)


@pytest.mark.parametrize("method", METHODS)
def test_a_random_model_gives_values_of_the_schema(llm, method):
    asked = llm.with_structured_output(Person, method=method)
    values = [asked.invoke("Who?"), *asked.stream("Who?"), asyncio.run(asked.ainvoke("Who?"))]
    assert all(isinstance(value, Person) for value in values)
    assert values[0] == values[1] == values[2]


@pytest.mark.parametrize("method", METHODS)
def test_dicts_where_the_schema_is_no_class_of_pydantic(llm, method):
    schema = Person.model_json_schema()
    assert set(llm.with_structured_output(schema, method=method).invoke("Who?")) == {"name", "born"}


def test_any_object_where_there_is_no_schema():
    llm = calling(Delta('{"a": 1}'))
    assert llm.with_structured_output(method="json_mode").invoke("Who?") == {"a": 1}
    assert llm.with_structured_output(PersonDict, method="json_mode").invoke("Who?") == {"a": 1}


@pytest.mark.parametrize("method", METHODS)
def test_what_the_limit_cuts_off_is_an_error_and_told_with_the_raw_message(llm, method):
    asked = llm.with_structured_output(Person, method=method)
    with pytest.raises(TruncatedAnswerError):
        asked.invoke("Who?", max_tokens=6)
    told = llm.with_structured_output(Person, method=method, include_raw=True, max_tokens=6).invoke("Who?")
    assert told["raw"].response_metadata["finish_reason"] == "length"
    assert told["parsed"] is None
    assert isinstance(told["parsing_error"], OutputParserException)


@pytest.mark.parametrize("method", METHODS)
def test_a_refusal_is_a_violation_and_told_with_the_raw_message(method):
    llm = calling(Delta("{}"), policy="default", suicide_self_harm=0.95)
    with pytest.raises(PolicyViolation):
        llm.with_structured_output(Person, method=method).invoke("Who?")
    told = llm.with_structured_output(Person, method=method, include_raw=True).invoke("Who?")
    assert told["raw"].response_metadata["finish_reason"] == "content_filter"
    assert told["parsed"] is None
    assert isinstance(told["parsing_error"], PolicyViolation)
    assert told["parsing_error"].decision_id == told["raw"].response_metadata["rose"]["decision_id"]


@pytest.mark.parametrize("answer", ["no json", "[]", '{"name": "Ada"}', '{"name": 3, "born": 1}'])
def test_what_is_no_value_of_the_schema_is_an_error_that_quotes_nothing(answer):
    with pytest.raises(OutputParserException) as caught:
        calling(Delta(answer)).with_structured_output(Person).invoke("Who?")
    assert answer not in str(caught.value)


def test_an_answer_without_a_call_is_an_error():
    with pytest.raises(OutputParserException, match="no tool call"):
        calling(Delta("Ada")).with_structured_output(Person, method="function_calling").invoke("Who?")


def test_the_schema_is_told_to_the_model():
    llm = calling(Delta('{"name": "Ada", "born": 1815}'))
    llm.with_structured_output(Person).invoke("Who?")
    assert llm.engine.requests[0].answer_schema["properties"].keys() == {"name", "born"}


@pytest.mark.parametrize("arguments", [{"schema": Person, "method": "xml"}, {"schema": None}])
def test_what_cannot_be_asked_is_refused_at_once(llm, arguments):
    with pytest.raises(SettingsError):
        llm.with_structured_output(**arguments)


def test_schemas_that_no_grammar_can_follow_are_refused(llm):
    remote = {"title": "x", "type": "object", "properties": {"a": {"$ref": "https://example.com/schema"}}}
    with pytest.raises(SettingsError):
        llm.with_structured_output(remote).invoke("Who?")
