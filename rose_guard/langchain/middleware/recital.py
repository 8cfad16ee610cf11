"""Recital: an engine that decodes nothing. It reads out an answer that is there already, so that it can be checked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rose_guard.engines.engine import Contrast, Delta, Timing, Usage
from rose_guard.errors import InputError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator, Sequence

    from rose_guard.engines.engine import GenerationRequest

CHARACTERS = 4
"""Of a token, about: what is read out was counted in tokens by nobody here."""


class Recital:
    """Reads out the last message of a request, and cannot say it any other way."""

    model_id = "recital"

    def stream(self, request: GenerationRequest) -> Generator[Delta]:
        """As the protocol says.

        Raises:
            InputError: if the answer is to be begun anew, which takes a model.
        """
        if request.begun or request.reverse_prompts:
            raise InputError("an answer that is there already cannot be begun anew")
        return _read_out(request.messages[-1].content)

    def streams(self, requests: Sequence[GenerationRequest]) -> list[Generator[Delta]]:
        """As the protocol says."""
        return [self.stream(request) for request in requests]

    async def astream(self, request: GenerationRequest) -> AsyncGenerator[Delta]:
        """As the protocol says."""
        for delta in self.stream(request):
            yield delta

    def token_ids(self, text: str) -> list[int]:
        """As the protocol says, a character for a token."""
        return [ord(character) for character in text]


def _read_out(text: str) -> Generator[Delta]:
    starts = range(0, len(text), CHARACTERS)
    for start in starts:
        yield Delta(text[start : start + CHARACTERS], tokens=1)
    yield Delta("", "stop", Usage(0, len(starts)), Contrast(0, 0), Timing())
