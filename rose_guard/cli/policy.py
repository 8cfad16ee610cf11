"""``rose-guard policy``: work with policy files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Work with policy files.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def _group() -> None:
    """Work with policy files."""


@app.command()
def lint(file: Annotated[Path, typer.Argument(help="The policy file.")]) -> None:
    """Check a policy file; print FILE:LINE:COLUMN and a suggestion for each mistake, and exit 1 if there is one."""
    from rose_guard.policy.policy import Policy

    policy = Policy.load(file)
    typer.echo(f"{file}: no mistakes found; digest {policy.digest}")
