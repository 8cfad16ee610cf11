"""``rose-guard train-classifier``: train the embedded classifier's head."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def train_classifier(
    labelled: Annotated[
        list[Path] | None,
        typer.Argument(help='Your own examples: one {"text", "harmful", "hazard"?, "attack"?} a line.'),
    ] = None,
    *,
    public: Annotated[
        Path | None, typer.Option(help="Folder of public prompt sets as JSON lines; those it holds are used.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Where to write the head.")] = Path("head.safetensors"),
) -> None:
    """Train a head on the project's own examples, public sets and yours; print what it flags in each."""
    from rich.console import Console
    from rich.table import Table

    from rose_guard.cli.screen import Screen
    from rose_guard.risk import corpus, training
    from rose_guard.risk.embedder import SentenceEmbedder

    examples = list(corpus.own_examples())
    if public is not None:
        examples += corpus.public_examples(public)
    for path in labelled or ():
        examples += corpus.labelled_examples(path)
    screen = Screen()
    with screen.busy(f"Embedding {len(examples)} prompts …"):
        embeddings = training.embed(examples, SentenceEmbedder())
    with screen.busy("Training …"):
        head = training.train(examples, embeddings)
    head.save(out)

    table = Table("source", "examples", "trained on", "flagged", title=f"head {head.version}")
    report = training.measure(head, examples, embeddings)
    for found in report.sources:
        table.add_row(found.source, str(found.examples), "yes" if found.trained_on else "no", f"{found.flagged:.3f}")
    Console().print(table)
    typer.echo(f"never trained on: area under the ROC curve {report.auroc:.3f}, ", nl=False)
    typer.echo(f"hazard named right {report.hazard_accuracy:.3f}")
    typer.echo(f"written to {out}")
