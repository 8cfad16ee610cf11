"""Exactness of structures, on the real model: a grammar that does not bind changes nothing, and every way is the same."""

import asyncio

import pytest
from pydantic import BaseModel, Field

from rose_guard import ChatRose
from rose_guard.langchain import structure

pytestmark = pytest.mark.exact

QUESTIONS = [
    "What is the weather in Paris?",
    "Order five boxes of pencils, please.",
    "How do I make a lentil soup?",
    "Wie spät ist es in Zürich?",
]


def get_weather(city: str) -> str:
    """Says the weather in a city."""
    return city


def order(item: str, quantity: int) -> str:
    """Orders an item from the shop."""
    return f"{quantity} {item}"


class Note(BaseModel):
    """A note."""

    title: str = Field(max_length=20)
    minutes: int = Field(ge=0, le=99)


@pytest.fixture(scope="module", params=["plain", "steered"])
def llm(request, engine, always):
    return ChatRose(engine=engine, policy=None if request.param == "plain" else always, temperature=0, max_tokens=40)


def said(message):
    return message.content, [(call["name"], call["args"]) for call in message.tool_calls]


def test_a_grammar_that_lets_the_model_choose_changes_no_answer_without_a_call(llm, monkeypatch):
    bound = llm.bind_tools([get_weather, order], on_length="return")
    followed = [bound.invoke(question) for question in QUESTIONS]
    monkeypatch.setattr(structure, "find_spec", lambda _: None)
    free = [bound.invoke(question) for question in QUESTIONS]
    texts = [i for i, message in enumerate(free) if not (message.tool_calls or message.invalid_tool_calls)]
    assert len(texts) > 1
    assert [said(followed[i]) for i in texts] == [said(free[i]) for i in texts]


@pytest.mark.parametrize("bind", ["any", "order", "schema"])
def test_structures_are_the_same_however_they_are_asked_for(llm, bind):
    if bind == "schema":
        asked = llm.with_structured_output(Note, include_raw=True)
        answers = {
            "alone": [asked.invoke(question)["parsed"] for question in QUESTIONS],
            "together": [given["parsed"] for given in asked.batch(QUESTIONS)],
            "on a loop": [given["parsed"] for given in asyncio.run(asked.abatch(QUESTIONS))],
        }
        assert all(isinstance(note, Note) for note in answers["alone"])
    else:
        asked = llm.bind_tools([get_weather, order], tool_choice=bind)
        answers = {
            "alone": [said(asked.invoke(question)) for question in QUESTIONS],
            "streamed": [said(sum_of(asked.stream(question))) for question in QUESTIONS],
            "together": [said(message) for message in asked.batch(QUESTIONS)],
            "on a loop": [said(message) for message in asyncio.run(asked.abatch(QUESTIONS))],
        }
        assert all(len(calls) == 1 for _, calls in answers["alone"])
    for way in answers:
        assert answers[way] == answers["alone"], way


def sum_of(chunks):
    first, *rest = chunks
    for chunk in rest:
        first += chunk
    return first
