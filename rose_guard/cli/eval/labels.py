"""``rose-guard eval export`` and ``labels``: people label answers, and say how far a judge can be trusted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rose_guard.cli.naming import wrongly_called

if TYPE_CHECKING:
    from rose_guard.evaluation.agreement import Agreement


def export(
    folder: Annotated[Path, typer.Argument(help="Folder of a run.")],
    file: Annotated[Path, typer.Argument(help="A new file that ends in .csv or .jsonl.")],
    *,
    size: Annotated[int, typer.Option(min=1, help="How many answers.")] = 200,
    seed: Annotated[int, typer.Option(min=0, help="Of the sample and its order.")] = 0,
) -> None:
    """Write a sample of a run's answers for people to label, in a shuffled order, arms hidden."""
    from rose_guard.evaluation.human import export_sample
    from rose_guard.evaluation.run import Run

    run = Run(folder)
    count = export_sample(run.records(), run.examples(), file, size=size, seed=seed)
    typer.echo(f"{file}: {count} answers to label with yes or no; next: rose-guard eval labels {folder} {file}")


def labels(
    folder: Annotated[Path, typer.Argument(help="Folder of the run.")],
    file: Annotated[Path, typer.Argument(help="The exported file, filled in.")],
    *,
    judge: Annotated[list[str] | None, typer.Option(help="How far this judge agrees; may be repeated.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per judge and question.")] = False,
) -> None:
    """Check a file of labels, and tell how far judges agree with it: Cohen's kappa, 1 for always, 0 for by chance."""
    from rose_guard.evaluation.agreement import QUESTIONS, agreement_on
    from rose_guard.evaluation.judges import judged, named_judge
    from rose_guard.evaluation.judges.human import HumanJudge
    from rose_guard.evaluation.run import Run

    run = Run(folder)
    records, examples = run.records(), run.examples()
    people = judged(HumanJudge.from_file(file), records, examples)
    with wrongly_called():
        judges = [named_judge(name) for name in judge or ()]
    if not as_json:
        typer.echo(f"{file}: {sum(map(_says_something, people.verdicts.values()))} answers of the run are labelled")
    for one in judges:
        said = judged(one, records, examples)
        for question in QUESTIONS:
            _tell(agreement_on(question, said, people, records), as_json=as_json)


def _tell(found: Agreement, *, as_json: bool) -> None:
    """In one line; nothing where the two never both speak of it."""
    if found.kappa is None:
        return
    judge, question, kappa = found.judge, found.question, found.kappa
    told = {"judge": judge, "question": question, "kappa": kappa.mean, "low": kappa.low, "high": kappa.high}
    in_words = f"{judge}: {question} {kappa.mean:.2f} ({kappa.low:.2f} to {kappa.high:.2f})"
    typer.echo(json.dumps(told) if as_json else in_words)


def _says_something(verdict: object) -> bool:
    from rose_guard.evaluation.judge import Verdict

    return verdict != Verdict()
