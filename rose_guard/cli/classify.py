"""``rose-guard classify``: score prompts and show what the policy would decide."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rose_guard.cli.judging import chosen_policy, classifier_for
from rose_guard.cli.prompts import read_prompts

if TYPE_CHECKING:
    from rose_guard.policy.decision import Decision


def classify(
    prompt: Annotated[str | None, typer.Argument(help="What to score.")] = None,
    *,
    file: Annotated[
        Path | None, typer.Option(help='Score many: one {"id", "text"} or {"id", "messages"} a line.')
    ] = None,
    policy: Annotated[Path | None, typer.Option(help="Policy file; the shipped policy unless given.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per prompt.")] = False,
) -> None:
    """Score prompts without answering them."""
    from rose_guard.cli.screen import Screen
    from rose_guard.message import digest

    prompts = read_prompts(prompt, file)
    chosen, screen = chosen_policy(policy), Screen()
    classifier = classifier_for(chosen, screen)
    for item in prompts:
        assessment = classifier.classify(item.messages)
        decision = chosen.decide(assessment, digest(item.messages))
        if as_json:
            typer.echo(json.dumps(_as_data(item.id, decision), ensure_ascii=False))
        else:
            screen.prompt(item.text)
            screen.scores(assessment)
            screen.decision(decision)


def _as_data(prompt_id: str | None, decision: Decision) -> dict[str, Any]:
    assessment = decision.assessment
    assert assessment is not None
    return {
        "id": prompt_id,
        "harmful": assessment.harmful,
        "hazards": dict(assessment.hazards),
        "attacks": dict(assessment.attacks),
        "decision": {
            "action": decision.action,
            "alpha": decision.alpha,
            "reverse_prompts": [branch_id for branch_id, _ in decision.branches],
        },
    }
