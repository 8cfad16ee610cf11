"""``rose-guard eval tasks`` and ``arms``: what there is to run."""

from __future__ import annotations

import json
from typing import Annotated

import typer

_JSON = typer.Option("--json", help="Print one JSON object per line.")


def tasks(*, as_json: Annotated[bool, _JSON] = False) -> None:
    """List the tasks: what each is, where its file is from, its licence and columns, and the attacks there are."""
    from rose_guard.evaluation.tasks import TASKS
    from rose_guard.evaluation.tasks.attacked import ATTACKED
    from rose_guard.evaluation.tasks.cross_task import HOW

    attacks = (*ATTACKED, HOW)
    for task in TASKS.values():
        told = {
            "name": task.name,
            "title": task.title,
            "kind": task.kind,
            "columns": list(task.columns),
            "licence": task.licence,
            "source": task.source,
            "attacks": list(attacks) if task.kind == "harmful" else [],
        }
        if as_json:
            typer.echo(json.dumps(told, ensure_ascii=False))
        else:
            columns = ", ".join(task.columns)
            typer.echo(f"{task.name}: {task.title} ({task.kind}; {columns}); licence: {task.licence}; {task.source}")
    if not as_json:
        typer.echo(f"NAME+HOW attacks the prompts of a harmful task; HOW is one of {', '.join(attacks)}")


def arms(*, as_json: Annotated[bool, _JSON] = False) -> None:
    """List the arms: the ways to decode that can be compared."""
    from rose_guard.evaluation.arms import ARMS

    for arm in ARMS.values():
        if as_json:
            told = {"name": arm.name, "says": arm.says, "gate": arm.gate, "alpha": arm.alpha, "decoder": arm.decoder}
            typer.echo(json.dumps(told, ensure_ascii=False))
        else:
            typer.echo(f"{arm.name}: {arm.says}")
