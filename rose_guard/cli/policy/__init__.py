"""``rose-guard policy``: work with policy files and with what they decided."""

from __future__ import annotations

import typer

from rose_guard.cli.policy import audit, diff, explain, lint, schema, test

app = typer.Typer(
    help="Work with policy files, and with what they decided.", no_args_is_help=True, rich_markup_mode=None
)
app.command("lint")(lint.lint)
app.command("explain")(explain.explain)
app.command("diff")(diff.diff)
app.command("test")(test.run_cases)
app.command("schema")(schema.schema)
app.add_typer(audit.app, name="audit")
