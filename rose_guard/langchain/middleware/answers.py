"""What comes back from the model that a request was handed on to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_core.messages import AIMessage

from rose_guard.errors import SettingsError
from rose_guard.langchain.middleware.events import is_guarded, is_refusal

if TYPE_CHECKING:
    from langchain.agents.middleware.types import ModelResponse
    from langchain.agents.structured_output import StructuredOutputError

    from rose_guard.guard.ruling import Ruling


def vouched(response: ModelResponse[Any], ruling: Ruling) -> ModelResponse[Any]:
    """The response, if whoever gave it knew of the ruling.

    Raises:
        SettingsError: if a conversation that is to be steered was answered by a model that knows nothing of it.
    """
    answers = [message for message in response.result if isinstance(message, AIMessage)]
    if ruling.decision.action == "steer" and not all(map(is_guarded, answers)):
        raise SettingsError(
            "a model answered that this middleware does not guard; list RoseGuardMiddleware last, behind whatever "
            "else chooses the model or answers in its stead"
        )
    return response


def refusal_in(error: StructuredOutputError) -> AIMessage:
    """The refusal that was read as if it were structured.

    Raises:
        StructuredOutputError: if there was none.
    """
    if not is_refusal(error.ai_message):
        raise error
    return error.ai_message
