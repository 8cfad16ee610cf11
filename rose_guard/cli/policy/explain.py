"""``rose-guard policy explain``: which scores, which band, and why."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rose_guard.cli.judging import chosen_policy, classifier_for
from rose_guard.cli.prompts import read_prompts

if TYPE_CHECKING:
    from rose_guard.policy.explain import ExplainedRule

SHOWN_RULES = 8


def explain(
    prompt: Annotated[str | None, typer.Argument(help="What to explain the decision of.")] = None,
    *,
    file: Annotated[
        Path | None, typer.Option(help='Explain many: one {"id", "text"} or {"id", "messages"} a line.')
    ] = None,
    policy: Annotated[Path | None, typer.Option(help="Policy file; the shipped policy unless given.")] = None,
    tenant: Annotated[str | None, typer.Option(help="Whose rules hold; the policy's own unless given.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Show every rule, not only the nearest ones.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per prompt, with every rule.")] = False,
) -> None:
    """Show what each rule of a policy does with a prompt's scores, and what the policy decides."""
    from rose_guard.cli.screen import Screen
    from rose_guard.message import digest
    from rose_guard.policy.explain import explain as explained

    prompts = read_prompts(prompt, file)
    chosen, screen = chosen_policy(policy), Screen()
    classifier = classifier_for(chosen, screen)
    for item in prompts:
        assessment = classifier.classify(item.messages)
        decision = chosen.decide(assessment, digest(item.messages), tenant=tenant)
        rules = explained(chosen, assessment, tenant=tenant)
        if as_json:
            made = {"action": decision.action, "alpha": decision.alpha, "reason": decision.reason}
            row = {"id": item.id, "decision": made, "rules": [asdict(rule) for rule in rules]}
            typer.echo(json.dumps(row, ensure_ascii=False))
        else:
            screen.prompt(item.text)
            screen.table(("rule", "score", "band", "action", "why"), map(_row, _nearest(rules, every=every)))
            screen.decision(decision)


def _nearest(rules: tuple[ExplainedRule, ...], *, every: bool) -> list[ExplainedRule]:
    """Rules that fire, then those that are nearest to it."""
    ranked = sorted(rules, key=lambda rule: (not rule.fires, -rule.score))
    return ranked if every else ranked[:SHOWN_RULES]


def _row(rule: ExplainedRule) -> tuple[str, ...]:
    band = "" if rule.at is None else f"{rule.at:.2f}"
    return rule.label, f"{rule.score:.2f}", band, rule.action if rule.fires else "", rule.why
