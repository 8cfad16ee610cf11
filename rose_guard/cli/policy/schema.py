"""``rose-guard policy schema``: the JSON Schema of policy files, for editors."""

from __future__ import annotations

import json

import typer


def schema() -> None:
    """Print the JSON Schema of policy files; editors complete and check against it."""
    from rose_guard.policy.json_schema import policy_schema

    typer.echo(json.dumps(policy_schema(), indent=2))
