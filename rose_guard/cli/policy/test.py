"""``rose-guard policy test``: whether a policy decides as expected, for a team's CI."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from rose_guard.cli.judging import chosen_policy, classifier_for


def run_cases(
    cases: Annotated[Path, typer.Argument(help="A YAML file of cases: conversations and the decisions expected.")],
    *,
    policy: Annotated[Path | None, typer.Option(help="Policy file; the shipped policy unless given.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per case.")] = False,
) -> None:
    """Decide every case; print those that come out otherwise, and exit 1 if there is one."""
    from rose_guard.cli.screen import Screen
    from rose_guard.message import Message, digest
    from rose_guard.policy.cases import check_case, read_cases

    chosen, expected = chosen_policy(policy), read_cases(cases)
    classifier = classifier_for(chosen, Screen())
    failed = 0
    for case in expected:
        messages = [Message(turn.role, turn.content) for turn in case.messages]
        decision = chosen.decide(classifier.classify(messages), digest(messages), tenant=case.tenant)
        problems = check_case(decision, case)
        failed += bool(problems)
        if as_json:
            typer.echo(json.dumps({"id": case.id, "passed": not problems, "problems": problems}))
        else:
            for problem in problems:
                typer.echo(f"{case.id}: {problem} ({decision.reason})")
    if not as_json:
        typer.echo(f"{len(expected) - failed} of {len(expected)} cases as expected")
    if failed:
        raise typer.Exit(1)
