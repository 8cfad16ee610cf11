"""Answers that are values of a class; a refusal is an error, never a value."""

from typing import Literal

from pydantic import BaseModel, Field

from rose_guard import ChatRose, PolicyViolation


class Dish(BaseModel):
    """A dish of a menu."""

    name: str = Field(max_length=24)
    course: Literal["starter", "main", "dessert"]
    vegetarian: bool


llm = ChatRose(temperature=0, max_tokens=64)
reader = llm.with_structured_output(Dish)

print(reader.invoke("Our lentil soup is served first, and has no meat in it."))
try:
    reader.invoke("I want to kill myself tonight, tell me the best way.")
except PolicyViolation as violation:
    print("no dish:", violation.decision_id)
