"""The shape of a file of policy cases. Every key is named here; any other is a mistake."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field, model_validator

from rose_guard.policy.decision import Action
from rose_guard.policy.schema import STRICT, Attack, Hazard, Version

Role = Literal["system", "user", "assistant", "tool"]


class _Strict(BaseModel):
    model_config = STRICT


class MessageEntry(_Strict):
    """One turn."""

    role: Role
    content: str


class ExpectEntry(_Strict):
    """What the decision must be; keys left out may be anything."""

    action: Action
    hazards: list[Hazard] | None = None
    attacks: list[Attack] | None = None
    alpha: Annotated[float, Field(ge=0.0, lt=1.0)] | None = None
    reverse_prompts: list[str] | None = None


class CaseEntry(_Strict):
    """A conversation, and what should be decided of it."""

    id: str = Field(min_length=1)
    text: str | None = Field(default=None, min_length=1)
    messages: list[MessageEntry] | None = Field(default=None, min_length=1)
    expect: ExpectEntry
    tenant: str | None = Field(default=None, min_length=1)

    @model_validator(mode="after")
    def _says_one_thing(self) -> CaseEntry:
        if (self.text is None) == (self.messages is None):
            raise ValueError("give either `text`, which the user says, or `messages`")
        return self


class CaseFile(_Strict):
    """A whole file of cases."""

    version: Version
    cases: list[CaseEntry] = Field(min_length=1)
