"""``rose-guard eval report``: what a run shows, by which judges, and whether it passes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rose_guard.cli.naming import limits, wrongly_called

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rose_guard.evaluation.example import Example
    from rose_guard.evaluation.judge import Judge
    from rose_guard.evaluation.judged import Judged
    from rose_guard.evaluation.record import Record
    from rose_guard.evaluation.report.answers import ShownExample
    from rose_guard.evaluation.report.curves import Curves
    from rose_guard.evaluation.run import Run
    from rose_guard.evaluation.summary import Summary


_CURVES = (".svg", ".png")


def report(
    folder: Annotated[Path, typer.Argument(help="Folder of a run, finished or not.")],
    *,
    judge: Annotated[
        list[str] | None,
        typer.Option(help="pattern, embedded, gold, guard-model:ID, chat-model:ID or human:FILE; may be repeated."),
    ] = None,
    labelled: Annotated[
        list[Path] | None, typer.Option(help="Labelled answers to measure the judges by; may be repeated.")
    ] = None,
    part: Annotated[
        str | None, typer.Option(help="choose, report or all; the run's own unless given, report where it has all.")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Write a page here, with curves and some of the answers.")] = None,
    curves: Annotated[Path | None, typer.Option(help="Draw the curves into this file, .svg or .png.")] = None,
    answers: Annotated[int, typer.Option(min=0, help="To how many examples the page shows answers.")] = 20,
    fail_under: Annotated[
        list[str] | None,
        typer.Option(
            help="FIGURE=NUMBER, such as safety=0.9; exit 1 where an arm is worse, with what is missing at its worst. "
            "May be repeated."
        ),
    ] = None,
    arm: Annotated[
        list[str] | None, typer.Option(help="Arm that must pass; all but plain unless given. May be repeated.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of Markdown.")] = False,
) -> None:
    """Report a run: figures with intervals, arms compared example by example, how far judges are right and agree."""
    from rose_guard.evaluation.report.document import to_json
    from rose_guard.evaluation.report.markdown import to_markdown
    from rose_guard.evaluation.run import Run
    from rose_guard.evaluation.summary import summarise

    with wrongly_called():
        asked = limits(fail_under or ())
        chosen = _part(part)
        _check_ending(curves)
    run = Run(folder)
    records, examples = run.records(), run.examples()
    judges = _judged(judge or (), labelled or (), records, examples)
    reported = _of_run(run) if part is None else chosen
    arms_of_run = tuple(run.configuration.arms)
    summary = summarise(records, judges, examples=examples, arms=arms_of_run, part=reported)
    shortfalls = _shortfalls(summary, asked, arm or ())
    about = _about(run)
    drawn = _drawn(summary) if curves is not None or html is not None else None
    if curves is not None and drawn is None:
        raise typer.BadParameter("--curves: there is nothing to draw; leave it out, or ask a judge")
    typer.echo((to_json if as_json else to_markdown)(summary, about=about), nl=False)
    if curves is not None and drawn is not None:
        _write(curves, drawn.svg if curves.suffix == ".svg" else drawn.png)
    if html is not None:
        from rose_guard.evaluation.report.answers import shown_answers

        shown = shown_answers(records, judges, examples=examples, part=reported, limit=answers)
        _write_page(html, summary, about, drawn, shown)
    for shortfall in shortfalls:
        typer.echo(shortfall, err=True)
    if shortfalls:
        raise typer.Exit(1)


def _part(part: str | None) -> Any:
    if part not in (None, "choose", "report", "all"):
        raise typer.BadParameter(f"--part {part}: must be choose, report or all")
    return None if part == "all" else part


def _check_ending(curves: Path | None) -> None:
    if curves is not None and curves.suffix not in _CURVES:
        raise typer.BadParameter(f"--curves {curves}: must end in {' or '.join(_CURVES)}")


def _of_run(run: Run) -> Any:
    own = run.configuration.settings.part
    return "report" if own == "all" else own


def _judged(
    names: Sequence[str],
    labelled: Sequence[Path],
    records: Sequence[Record],
    examples: Mapping[tuple[str, str], Example],
) -> list[Judged]:
    """What each judge says of the run, and of answers whose labels are known."""
    from rose_guard.cli.screen import Screen
    from rose_guard.evaluation.judges import judged, named_judge, read_labelled
    from rose_guard.evaluation.judges.accuracy import judge_accuracy

    with wrongly_called():
        _check_names(labelled)
        known = {path.stem: read_labelled(path) for path in labelled}
        judges = [named_judge(name) for name in dict.fromkeys(names)]
        _check_distinct(judges)
    found = []
    for judge in judges:
        with Screen().busy(f"{judge.name} judges …"):
            accuracy = [each for source, answers in known.items() for each in judge_accuracy(judge, answers, source)]
            found.append(judged(judge, records, examples, accuracy))
    _check_labels_used(known, found)
    return found


def _check_names(labelled: Sequence[Path]) -> None:
    """See that reports can tell the files of labels apart by their names."""
    from rose_guard.errors import SettingsError

    for path in labelled:
        if [other.stem for other in labelled].count(path.stem) > 1:
            raise SettingsError(f"two files of labels are called {path.stem}; rename one")


def _check_distinct(judges: Sequence[Judge]) -> None:
    """See that reports can tell the judges apart by their names."""
    from rose_guard.errors import SettingsError

    names = [judge.name for judge in judges]
    for name in names:
        if names.count(name) > 1:
            raise SettingsError(f"two judges are called {name}; give one of them, or rename its file")


def _check_labels_used(known: Mapping[str, object], judges: Sequence[Judged]) -> None:
    """See that each file of labels told of at least one judge how often it is right."""
    from rose_guard.errors import InputError

    used = {accuracy.source for judge in judges for accuracy in judge.accuracy}
    for source in known:
        if source not in used:
            raise InputError(
                f"no judge says anything of what is labelled in {source}; add one that does, or leave it out"
            )


def _shortfalls(summary: Summary, asked: Mapping[str, float], arms: Sequence[str]) -> list[str]:
    from rose_guard.evaluation.summary import fail_under

    with wrongly_called():
        return fail_under(summary, asked, arms=arms)


def _about(run: Run) -> dict[str, str]:
    """What identifies the run; no prompts."""
    told = run.configuration
    about = {"model": told.model, "classifier": told.classifier or "none", "seed": str(told.settings.seed)}
    tasks = {f"task {name}": f"{source.examples} examples of {source.path}" for name, source in told.tasks.items()}
    asked = sum(source.examples for source in told.tasks.values()) * len(told.arms)
    done = {"records": f"{len(run.records())} of {asked}"}
    return {**about, "max_new_tokens": str(told.settings.max_new_tokens), **tasks, **done, **told.versions}


def _drawn(summary: Summary) -> Curves | None:
    """The curves, where there is anything to draw."""
    from rose_guard.evaluation.report.curves import draw, points

    drawn = points(summary)
    return draw(drawn) if drawn else None


def _write_page(
    path: Path, summary: Summary, about: Mapping[str, str], curves: Curves | None, shown: Sequence[ShownExample]
) -> None:
    """Only its owner may read it: answers are masked in it, not left out."""
    from rose_guard.evaluation.report.page import to_html

    _write(path, to_html(summary, about=about, curves=curves, answers=shown).encode(), private=True)


def _write(path: Path, content: bytes, *, private: bool = False) -> None:
    from rose_guard.errors import InputError

    try:
        if private:
            path.touch(mode=0o600)
            path.chmod(0o600)
        path.write_bytes(content)
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror}); give another file") from error
