"""The key under which answers are kept: a digest of everything that changes them. A pure function."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rose_guard.engines.engine import GenerationRequest
    from rose_guard.policy.decision import Decision
    from rose_guard.policy.policy import Policy


@dataclass(frozen=True, slots=True)
class Makers:
    """Who makes an answer, by name and version.

    Args:
        model: what decodes.
        local: what decodes in its place where the model cannot be steered.
        classifier: what scores conversations.
        answer_classifier: what scores answers.
    """

    model: str
    local: str | None = None
    classifier: str | None = None
    answer_classifier: str | None = None


def answer_key(
    request: GenerationRequest,
    decision: Decision,
    makers: Makers,
    *,
    checking: Policy | None,
    tenant: str | None,
    language: str,
) -> str | None:
    """64 hex digits; None where an answer cannot be told from another one, so that it must not be kept.

    The conversation is in it as its digest alone, and prompts as their ids and their policy's digest. A constraint is
    told by its ``identity``, a text; one that has none cannot be.

    Args:
        request: what the engine would be asked for.
        decision: what holds.
        makers: who would answer.
        checking: whose output check holds; None where nothing is checked.
        tenant: whose guard it is.
        language: of the policy's texts.
    """
    identity = getattr(request.constraint, "identity", None)
    if request.constraint is not None and not (isinstance(identity, str) and identity):
        return None
    parts = {
        "rose_guard": _version(),
        "makers": [makers.model, makers.local, makers.classifier, makers.answer_classifier],
        "checking": checking.digest if checking else None,
        "tenant": tenant,
        "language": language,
        "constraint": identity,
        **_decided(decision),
        **_asked(request),
    }
    try:
        canonical = json.dumps(parts, sort_keys=True, separators=(",", ":"), default=_plain)
    except (TypeError, ValueError, RecursionError):  # a schema that JSON cannot write
        return None
    return hashlib.sha256(canonical.encode()).hexdigest()


def _decided(decision: Decision) -> dict[str, Any]:
    return {
        "mode": decision.mode,
        "action": decision.action,
        "policy": decision.policy_digest,
        "branches": decision.branches,
        "safe_prompt": decision.safe_prompt,
        "horizon": decision.horizon,
        "messages": decision.messages_digest,
    }


def _asked(request: GenerationRequest) -> dict[str, Any]:
    return {
        "settings": request.settings.model_dump(),
        "max_new_tokens": request.max_new_tokens,
        "stop": list(request.stop),
        "n": request.n,
        "logprobs": request.logprobs,
        "tools": [[tool.name, tool.description, tool.parameters] for tool in request.tools],
        "answer_schema": request.answer_schema,
    }


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError


@cache
def _version() -> str:
    try:
        return version("rose-guard")
    except PackageNotFoundError:  # run from a source tree that is not installed
        return "0+unknown"
