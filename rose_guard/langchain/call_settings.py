"""Settings of one call over those of the model, and what tells two models apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rose_guard import __version__
from rose_guard.decoding.settings import RoseSettings
from rose_guard.errors import SettingsError
from rose_guard.guard import GenerationOptions

if TYPE_CHECKING:
    from rose_guard.langchain.guarded_model import GuardedModel
    from rose_guard.policy.policy import Policy

_SAMPLING = (
    "temperature",
    "top_k",
    "top_p",
    "min_p",
    "repetition_penalty",
    "presence_penalty",
    "frequency_penalty",
    "seed",
)
_DECODING = ("beta", "normalised", "logit_bias")
_ANSWER = ("max_tokens", "n", "logprobs", "top_logprobs", "language", "expose")


def generation_options(model: GuardedModel, stop: list[str] | None, call: dict[str, Any]) -> GenerationOptions:
    """What a call asks for.

    Args:
        model: whose fields hold where the call is silent.
        stop: stop strings of the call; None takes the model's.
        call: the call's other settings.

    Raises:
        SettingsError: if a call names a setting that there is not, or one is out of range.
    """
    if isinstance(stop, str):
        raise SettingsError("stop must be a list of texts; a text by itself would end the answer at each letter")
    call = dict(call)
    call.pop("stream", None)  # LangChain's own, which it has acted on by now
    sampling = {name: call.pop(name, getattr(model, name)) for name in _SAMPLING}
    fixed = {name: getattr(model, name) for name in _DECODING}
    n, logprobs = call.pop("n", model.n), call.pop("logprobs", model.logprobs)
    top_logprobs = call.pop("top_logprobs", model.top_logprobs)
    max_new_tokens = call.pop("max_new_tokens", call.pop("max_tokens", model.max_tokens))
    if call:
        raise SettingsError(
            f"unknown call settings {', '.join(sorted(call))}; a call may set {', '.join(_SAMPLING)}, "
            f"max_tokens, stop, n, logprobs and top_logprobs"
        )
    return GenerationOptions(
        settings=RoseSettings(**fixed, **sampling),
        max_new_tokens=max_new_tokens,
        stop=tuple(stop if stop is not None else model.stop or ()),
        n=n,
        logprobs=top_logprobs if logprobs else None,
        principal=model.principal,
        thread=model.thread,
        tenant=model.tenant,
        language=model.language,
    )


def identifying(model: GuardedModel, policy: Policy | None) -> dict[str, Any]:
    """Everything but the model's name that changes an answer.

    Args:
        model: whose fields are told.
        policy: the one in force.
    """
    return {
        "policy_digest": policy.digest if policy else None,
        "tenant": model.tenant,
        "classifier": model.classifier.name if model.classifier else f"that of rose_guard {__version__}",
        "answer_classifier": model.answer_classifier.name if model.answer_classifier else None,
        **{name: getattr(model, name) for name in (*_SAMPLING, *_DECODING, *_ANSWER)},
        # LangChain puts the call's stop strings under "stop", over what stands there.
        "default_stop": model.stop,
    }
