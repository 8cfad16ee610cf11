"""``rose-guard policy audit``: whether the record of decisions is as it was written."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rose_guard.errors import AuditError

if TYPE_CHECKING:
    from rose_guard.audit.head import Head

app = typer.Typer(help="Check audit logs.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def _group() -> None:
    """Check audit logs."""


@app.command()
def verify(
    logs: Annotated[list[Path], typer.Argument(help="The log's folder, or its files.")],
    *,
    key_file: Annotated[Path, typer.Option(help="File with the key that the log was written with.")],
    heads: Annotated[
        Path | None,
        typer.Option(help="Exported heads, one JSON object a line; only they can tell that an end is missing."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Find changed, removed, inserted and reordered lines; exit 1 if there are any."""
    from rose_guard.audit import AuditKey
    from rose_guard.audit import verify as verified

    paths = logs[0] if len(logs) == 1 else logs
    report = verified(paths, AuditKey.from_file(key_file), _read_heads(heads) if heads else None)
    if as_json:
        chains = [{**asdict(chain), "tail": chain.tail} for chain in report.chains]
        findings = [asdict(finding) for finding in report.findings]
        found = {"intact": report.intact, "chains": chains, "findings": findings, "omitted": report.omitted}
        typer.echo(json.dumps(found))
    else:
        for line in (*report.chains, *report.findings):
            typer.echo(str(line))
        if report.omitted:
            typer.echo(f"and {report.omitted} findings more")
        typer.echo("nothing was changed" if report.intact else "this is not as it was written")
    if not report.intact:
        raise typer.Exit(1)


def _read_heads(file: Path) -> list[Head]:
    from rose_guard.audit.head import Head

    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise AuditError(f"{file}: cannot be read; give a file with one exported head a line") from error
    return [Head.from_json(line) for line in lines if line.strip()]
