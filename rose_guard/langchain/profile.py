"""ModelProfile: what a model can do, as LangChain's agents ask."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from langchain_core.language_models import ModelProfile


def model_profile(context_tokens: int | None, max_tokens: int) -> ModelProfile:
    """Of a local text model.

    Args:
        context_tokens: how many it reads at most; None where nobody can tell without loading it.
        max_tokens: how many it answers with at most.
    """
    grammar = find_spec("llguidance") is not None
    profile: ModelProfile = {
        "max_output_tokens": max_tokens,
        "text_inputs": True,
        "text_outputs": True,
        "image_inputs": False,
        "pdf_inputs": False,
        "audio_inputs": False,
        "video_inputs": False,
        "image_outputs": False,
        "audio_outputs": False,
        "video_outputs": False,
        "tool_calling": True,
        "tool_choice": grammar,
        "structured_output": grammar,
        "temperature": True,
    }
    return profile if context_tokens is None else {**profile, "max_input_tokens": context_tokens}
