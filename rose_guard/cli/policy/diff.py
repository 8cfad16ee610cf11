"""``rose-guard policy diff``: what changes from one policy to another."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rose_guard.cli.judging import chosen_policy, classifier_for
from rose_guard.cli.prompts import read_prompts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rose_guard.policy.decision import Decision
    from rose_guard.policy.policy import Policy


def diff(
    a: Annotated[Path, typer.Argument(help="The policy file that holds now.")],
    b: Annotated[Path, typer.Argument(help="The one that may take its place.")],
    *,
    file: Annotated[
        Path | None,
        typer.Option(help='Prompts to decide by both: one {"id", "text"} or {"id", "messages"} a line.'),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show what differs between two policies as they apply, and on a file of prompts whose decision changes."""
    from rose_guard.policy.diff import differences

    before, after = chosen_policy(a), chosen_policy(b)
    found = differences(before, after)
    changed = list(_changed(before, after, file)) if file else []
    if as_json:
        typer.echo(json.dumps({"differences": [asdict(each) for each in found], "decisions": changed}))
        return
    for each in found:
        typer.echo(f"{each.path}: {each.before or 'nothing'} -> {each.after or 'nothing'}")
    for row in changed:
        typer.echo(f"{row['id']}: {_in_words(row['before'])} -> {_in_words(row['after'])}")
    if not found:
        typer.echo("no difference")
    elif file:
        typer.echo(f"{len(changed)} decisions change")


def _changed(before: Policy, after: Policy, file: Path) -> Iterator[dict[str, Any]]:
    """Prompts of which the two decide otherwise."""
    from rose_guard.cli.screen import Screen
    from rose_guard.message import digest

    prompts = read_prompts(None, file)
    classifiers = {policy.classifier: classifier_for(policy, Screen()) for policy in (before, after)}
    for item in prompts:
        scores = {name: classifier.classify(item.messages) for name, classifier in classifiers.items()}
        judged = digest(item.messages)
        one, other = (_made(policy.decide(scores[policy.classifier], judged)) for policy in (before, after))
        if one != other:
            yield {"id": item.id, "before": one, "after": other}


def _made(decision: Decision) -> dict[str, Any]:
    return {
        "action": decision.action,
        "alpha": round(decision.alpha, 4),
        "reverse_prompts": [prompt_id for prompt_id, _ in decision.branches],
        "message": decision.message,
    }


def _in_words(made: dict[str, Any]) -> str:
    if made["action"] == "steer":
        return f"steer {made['alpha']:g} against {' and '.join(made['reverse_prompts'])}"
    return " ".join(filter(None, (made["action"], made["message"])))
