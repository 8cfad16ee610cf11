"""``rose-guard train-answer-classifier``: train the head that scores answers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def train_answer_classifier(
    labelled: Annotated[
        list[Path] | None, typer.Argument(help='Your own answers: one {"text", "harmful"} a line.')
    ] = None,
    *,
    public: Annotated[
        Path | None, typer.Option(help="Folder of public answer sets as JSON lines; those it holds are used.")
    ] = None,
    measure: Annotated[
        list[Path] | None, typer.Option(help="Answers in the same form that are measured on and never trained on.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Where to write the head; ANSWER_CARD.md goes beside it.")] = Path(
        "answer_head.safetensors"
    ),
) -> None:
    """Train on the project's own answers, public ones and yours; print what the head finds in others."""
    from rose_guard.cli.screen import Screen
    from rose_guard.risk import answer_corpus, answer_training
    from rose_guard.risk.answer_report import answer_card
    from rose_guard.risk.answer_report import measure as measured
    from rose_guard.risk.embedded import EmbeddedClassifier

    examples = list(answer_corpus.own_answers())
    if public is not None:
        examples += answer_corpus.public_answers(public)
    for path in labelled or ():
        examples += answer_corpus.labelled_answers(path)
    for path in measure or ():
        examples += answer_corpus.labelled_answers(path, split="test")
    screen, embedder = Screen(), EmbeddedClassifier.shared().embedder
    with screen.busy(f"Embedding {len(examples)} answers …"):
        windows = answer_training.AnswerWindows(examples, embedder)
    head = answer_training.train(examples, windows, embedder.version)
    report = measured(head, examples, windows)
    head.save(out)
    out.with_name("ANSWER_CARD.md").write_text(answer_card(head, examples, report), encoding="utf-8")
    screen.table(
        ("source", "area under the ROC curve", "harmful found", "harmless flagged"),
        (
            (source, str(report.auroc.get(source, "")), str(report.found.get(source, "")), str(alarms))
            for source, alarms in report.false_alarms.items()
        ),
    )
    typer.echo(f"threshold {report.threshold:.2f}: no harmless set above is flagged more often than 2 %")
    typer.echo(f"head {head.version} written to {out}, its card beside it")
