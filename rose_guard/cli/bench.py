"""``rose-guard bench``: what guarding costs on this machine."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer


def bench(
    *,
    figure: Annotated[list[str] | None, typer.Option(help="Measure only this one; may be repeated.")] = None,
    dtype: Annotated[
        list[str] | None,
        typer.Option(help="Precision; may be repeated. float32 and bfloat16 unless given, bfloat16 alone on a GPU."),
    ] = None,
    model: Annotated[str | None, typer.Option(help="Hub id or folder; the embedded model unless given.")] = None,
    device: Annotated[str | None, typer.Option(help="cpu or cuda; cuda where there is one, unless given.")] = None,
    repetitions: Annotated[int, typer.Option(min=1, help="How often each side is measured, in turn.")] = 5,
    max_new_tokens: Annotated[int, typer.Option(min=1, help="Limit of an answer, in tokens.")] = 128,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Measure guarded decoding against plain decoding; takes about half an hour. Run nothing beside it."""
    import torch

    from rose_guard.cli.screen import Screen
    from rose_guard_benchmarks.report import NAMES, machine, measure

    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    if unknown := sorted(set(figure or ()) - set(NAMES)):
        raise typer.BadParameter(f"unknown figures {', '.join(unknown)}; there are {', '.join(NAMES)}")
    screen = Screen()
    figures = measure(
        figure or NAMES,
        dtype or (["float32", "bfloat16"] if device == "cpu" else ["bfloat16"]),
        model_id=model,
        device=device,
        repetitions=repetitions,
        tokens=max_new_tokens,
        busy=screen.busy,
    )
    if as_json:
        typer.echo(json.dumps({"machine": machine(device), "figures": [asdict(f) for f in figures]}))
    else:
        screen.table(
            ("figure", "ratio", "low", "high", "dtype", "unit"),
            [(f.name, f"{f.ratio:.2f}", f"{f.low:.2f}", f"{f.high:.2f}", f.dtype, f.unit) for f in figures],
        )
