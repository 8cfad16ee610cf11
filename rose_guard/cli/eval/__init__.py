"""``rose-guard eval``: does guarding make a model safer, and what does it cost?"""

from __future__ import annotations

import typer

from rose_guard.cli.eval import labels, lists, report, run

app = typer.Typer(
    help="Measure whether guarding makes a model safer, and what it costs.", no_args_is_help=True, rich_markup_mode=None
)
app.command("run")(run.run)
app.command("report")(report.report)
app.command("export")(labels.export)
app.command("labels")(labels.labels)
app.command("tasks")(lists.tasks)
app.command("arms")(lists.arms)
