"""Records: what the audit log says of each kind of event. Pure functions over plain values; they write nothing.

Prompts, answers and who somebody is go in as :class:`~rose_guard.audit.private.Private`: the log writes them as keyed
digests. Texts of reverse prompts never go in; their ids do. Neither does a digest without a key, since a short prompt
can be guessed from one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rose_guard.audit.private import Private

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rose_guard.audit.judged import Judged, SpanOfText, Turn, Usage

_DECIMALS = 4


def decision_record(
    decision: Judged, *, messages: Sequence[Turn], principal: str | None = None, thread: str | None = None
) -> dict[str, Any]:
    """What was decided of a conversation, by which scores, and of which text.

    Args:
        decision: what the policy decided.
        messages: the conversation that was judged.
        principal: whose conversation it is; its digest also depends on the decision's tenant.
        thread: which conversation it is; likewise.
    """
    return {
        **_decided(decision),
        "shadow": None if decision.shadow is None else _decided(decision.shadow),
        **_scored(decision),
        "principal": None if principal is None else Private("principal", [decision.tenant, principal]),
        "thread": None if thread is None else Private("thread", [decision.tenant, thread]),
        "prompt": Private("prompt", [_said(message) for message in messages]),
    }


def output_record(  # noqa: PLR0913 - a line has that many fields
    decision_id: str,
    verdict: str,
    score: float | None,
    tokens: tuple[int, int],
    action: str,
    *,
    index: int = 0,
) -> dict[str, Any]:
    """What the check of a part of an answer found.

    Args:
        decision_id: the decision under which it is answered.
        verdict: what was found, as one word.
        score: probability of harm; None where it could not be scored.
        tokens: which tokens of the answer were scored: the first, and one past the last.
        action: what happens then.
        index: which of several answers it is.
    """
    return {
        "decision_id": decision_id,
        "index": index,
        "verdict": verdict,
        "score": None if score is None else _rounded(score),
        "tokens": list(tokens),
        "action": action,
    }


def restart_record(decision_id: str, attempt: int, alpha: float, kept_tokens: int, *, index: int = 0) -> dict[str, Any]:
    """An answer is begun anew behind what was clean of it.

    Args:
        decision_id: the decision under which it is answered.
        attempt: 1 for the first restart.
        alpha: total strength of the contrast from here on.
        kept_tokens: how many tokens stay.
        index: which of several answers it is.
    """
    return {
        "decision_id": decision_id,
        "index": index,
        "attempt": attempt,
        "alpha": float(alpha),
        "kept_tokens": kept_tokens,
    }


def end_record(  # noqa: PLR0913, PLR0917 - a line has that many fields
    decision_id: str,
    finish_reason: str,
    usage: Usage | None,
    contrasted_tokens: int,
    released_characters: int,
    answer: str | None,
    *,
    index: int = 0,
    cached: bool = False,
) -> dict[str, Any]:
    """How an answer ended.

    Args:
        decision_id: the decision under which it was answered.
        finish_reason: why it ended.
        usage: tokens read and generated; None where they are not known.
        contrasted_tokens: tokens chosen with every reverse branch.
        released_characters: how much was given out.
        answer: what was given out, thoughts and tool calls included; None where its text is not at hand.
        index: which of several answers it is.
        cached: whether it was decoded for an earlier conversation like this one; the line says so only then.
    """
    tokens = None if usage is None else {"input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens}
    return {
        "decision_id": decision_id,
        "index": index,
        "finish_reason": finish_reason,
        "usage": tokens,
        "contrasted_tokens": contrasted_tokens,
        "released_characters": released_characters,
        "answer": None if answer is None else Private("answer", answer),
        **({"cached": True} if cached else {}),
    }


def _said(message: Turn) -> dict[str, Any]:
    """What a message says; tools are named only where there are any, so that other messages keep their digests."""
    said: dict[str, Any] = {"role": message.role, "content": message.content, "name": message.name}
    if message.tool_calls:
        said["tool_calls"] = [{"name": c.name, "arguments": c.arguments, "id": c.id} for c in message.tool_calls]
    if message.tool_call_id is not None:
        said["tool_call_id"] = message.tool_call_id
    return said


def _decided(decision: Judged) -> dict[str, Any]:
    """A decision without what was scored and said."""
    return {
        "decision_id": decision.decision_id,
        "action": decision.action,
        "mode": decision.mode,
        "tenant": decision.tenant,
        "hazards": list(decision.hazards),
        "attacks": list(decision.attacks),
        "branches": [[prompt_id, float(alpha)] for prompt_id, alpha in decision.branches],
        "safe_prompt": decision.safe_prompt,
        "horizon": decision.horizon,
        "message": decision.message,
        "reason": decision.reason,
        "severity": decision.severity,
        "escalated": list(decision.escalated),
        "notify": list(decision.notify),
        "policy_digest": decision.policy_digest,
    }


def _scored(decision: Judged) -> dict[str, Any]:
    """The scores, and where those of the firing labels came from."""
    assessment = decision.assessment
    if assessment is None:
        return {"classifier": None, "scores": None, "spans": {}}
    judged = [decision] if decision.shadow is None else [decision, decision.shadow]
    firing = {label for one in judged for label in (*one.hazards, *one.attacks)}
    return {
        "classifier": assessment.classifier,
        "scores": {
            "harmful": _rounded(assessment.harmful),
            **{label: _rounded(score) for label, score in assessment.scores.items()},
        },
        "spans": {label: _place(span) for label, span in assessment.spans.items() if label in firing},
    }


def _place(span: SpanOfText) -> dict[str, Any]:
    return {"message": span.message, "start": span.start, "end": span.end, "view": span.view}


def _rounded(score: float) -> float:
    return round(float(score), _DECIMALS)
