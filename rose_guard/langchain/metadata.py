"""What LangChain's messages are told of an answer."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rose_guard.engines.engine import TokenLogprob
    from rose_guard.guard import Piece
    from rose_guard.policy.decision import Decision


def logprobs_metadata(logprobs: Sequence[TokenLogprob]) -> dict[str, Any]:
    """Log-probabilities in the shape of OpenAI's API; nothing where none were asked for."""
    if not logprobs:
        return {}
    content = [
        {
            "token": chosen.token,
            "logprob": chosen.logprob,
            "top_logprobs": [{"token": token, "logprob": logprob} for token, logprob in chosen.top],
        }
        for chosen in logprobs
    ]
    return {"logprobs": {"content": content}}


def rose_metadata(decision: Decision, last: Piece | None, *, debug: bool) -> dict[str, Any]:
    """What is told of a decision and of the answer that it led to, if any; ids of reverse prompts, never texts."""
    summary: dict[str, Any] = {
        "decision_id": decision.decision_id,
        "action": decision.action,
        "hazards": list(decision.hazards),
        "attacks": list(decision.attacks),
        "alpha": decision.alpha,
        "reverse_prompts": [prompt_id for prompt_id, _ in decision.branches],
        "policy_digest": decision.policy_digest,
    }
    if last is not None and last.verdict is not None:
        summary["output"] = asdict(last.verdict)
    if last is not None and last.cached:
        summary["cached"] = True
    return {**summary, **_debug_metadata(decision, last)} if debug else summary


def _debug_metadata(decision: Decision, last: Piece | None) -> dict[str, Any]:
    assessment = decision.assessment
    contrast, timing = (last.delta.contrast, last.delta.timing) if last else (None, None)
    return {
        "scores": {"harmful": assessment.harmful, **assessment.scores} if assessment else None,
        "reason": decision.reason,
        "mode": decision.mode,
        "shadow": decision.shadow.action if decision.shadow else None,
        "escalated": list(decision.escalated),
        "contrast": {"contrasted_tokens": contrast.contrasted_tokens, "changed_tokens": contrast.changed_tokens}
        if contrast
        else None,
        "timing": asdict(timing) if timing else None,
    }
