"""From a caller's options and what was decided to what an engine is asked for. Pure functions."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from rose_guard.engines.engine import GenerationRequest, ReversePrompt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rose_guard.decoding.settings import RoseSettings
    from rose_guard.guard.options import GenerationOptions
    from rose_guard.message import Message
    from rose_guard.policy.decision import Decision
    from rose_guard.policy.policy import Policy


def generation_request(
    messages: Sequence[Message],
    options: GenerationOptions,
    decision: Decision,
    *,
    policy: Policy | None,
    tenant: str | None,
) -> GenerationRequest:
    """What an engine is asked for.

    Args:
        messages: the conversation.
        options: what the caller chose.
        decision: allows or steers.
        policy: whose prompts the decision names; None where it names none.
        tenant: whose turn it is.
    """
    return GenerationRequest(
        messages=tuple(messages),
        settings=_contrasted(options.settings, decision),
        max_new_tokens=options.max_new_tokens,
        stop=options.stop,
        n=options.n,
        logprobs=options.logprobs,
        constraint=options.constraint,
        principal=_owner(options.principal, tenant),
        tools=options.tools,
        answer_schema=options.answer_schema,
        **_contrast(decision, policy, options.language),
    )


def _contrast(decision: Decision, policy: Policy | None, language: str) -> dict[str, Any]:
    """The decision's prompts in words: what only the steered branches read."""
    if decision.action != "steer":
        return {}
    assert policy is not None
    assert decision.safe_prompt is not None
    return {
        "safe_prompt": policy.safe_prompt(decision.safe_prompt, language),
        "reverse_prompts": tuple(
            ReversePrompt(policy.reverse_prompt(prompt_id, language), alpha) for prompt_id, alpha in decision.branches
        ),
    }


def _contrasted(settings: RoseSettings, decision: Decision) -> RoseSettings:
    """A caller's settings with the contrast that was decided; without a horizon there is none for a schedule."""
    schedule = settings.schedule if decision.horizon is not None else "constant"
    return settings.updated(alpha=decision.alpha, horizon=decision.horizon, schedule=schedule)


def _owner(principal: str | None, tenant: str | None) -> str | None:
    """Who may find again what was read of a conversation; principals of two tenants are two."""
    return principal if principal is None or tenant is None else json.dumps([tenant, principal])
