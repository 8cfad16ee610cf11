"""``rose-guard eval run``: answer the examples of tasks under several arms, and keep a record of each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rose_guard.cli.naming import asked_tasks, wrongly_called

if TYPE_CHECKING:
    from rose_guard.engines.engine import Engine
    from rose_guard.evaluation.arm import Arm
    from rose_guard.evaluation.sweep import Sweep

_DEFAULT_ARMS = ("plain", "guard")


def run(
    *,
    task: Annotated[list[str], typer.Option(help="NAME=FILE, of `rose-guard eval tasks`; may be repeated.")],
    out: Annotated[Path, typer.Option(help="Folder of the run; one that was cut off is gone on with.")],
    arm: Annotated[
        list[str] | None,
        typer.Option(help="Of `rose-guard eval arms`; may be repeated. plain and guard unless given."),
    ] = None,
    alpha: Annotated[list[float] | None, typer.Option(help="Strength of every arm that contrasts; repeatable.")] = None,
    horizon: Annotated[list[int] | None, typer.Option(help="Contrast only so many tokens; repeatable.")] = None,
    beta: Annotated[list[float] | None, typer.Option(help="Plausibility; repeatable.")] = None,
    policy: Annotated[Path | None, typer.Option(help="Policy file of the arms that ask one.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="How many examples of each task.")] = None,
    part: Annotated[
        str, typer.Option(help="choose (to choose settings by), report (to report), or all; they share no example.")
    ] = "report",
    max_new_tokens: Annotated[int, typer.Option(min=1, help="Limit of an answer, in tokens.")] = 64,
    temperature: Annotated[float, typer.Option(min=0.0, help="0 is greedy.")] = 0.0,
    seed: Annotated[int, typer.Option(min=0, help="Of the draws, and of the choice of examples.")] = 0,
    batch_size: Annotated[int, typer.Option(min=1, max=64, help="How many are decoded together.")] = 16,
    model: Annotated[str | None, typer.Option(help="Hub id or folder; the embedded model unless given.")] = None,
    dtype: Annotated[str | None, typer.Option(help="Such as bfloat16; the model's own unless given.")] = None,
    device: Annotated[str, typer.Option(help="Such as cuda or cuda:1.")] = "cpu",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Run tasks under arms. Stop it at any time: the same command goes on where it was."""
    from rose_guard.cli.screen import Screen
    from rose_guard.evaluation.sweep import FAILURES

    screen = Screen()
    with wrongly_called():
        settings = _settings(max_new_tokens, temperature, seed, limit, part)
        arms = _arms(arm or _DEFAULT_ARMS, policy, alpha or (), horizon or (), beta or ())
        tasks = asked_tasks(task)
    with screen.busy("Loading the model …"):
        sweep = _sweep(tasks, arms, _engine(model, dtype, device), settings, batch_size)
    with screen.progress("Answering") as progress:
        done, failures = sweep.run(out, progress)
    counted = {"folder": str(out), "records": len(done.records()), "failures": len(failures)}
    if as_json:
        typer.echo(json.dumps(counted, ensure_ascii=False))
        return
    typer.echo(f"{out}: {counted['records']} records; next: rose-guard eval report {out} --judge pattern")
    if failures:
        typer.echo(f"{len(failures)} examples could not be answered; {out / FAILURES} says why", err=True)


def _settings(max_new_tokens: int, temperature: float, seed: int, limit: int | None, part: str) -> Any:
    from rose_guard.evaluation.configuration import RunSettings

    asked: dict[str, Any] = {"temperature": temperature, "seed": seed, "limit": limit, "part": part}
    return RunSettings(max_new_tokens=max_new_tokens, **asked)


def _arms(names: Any, policy: Path | None, alphas: Any, horizons: Any, betas: Any) -> list[Arm]:
    from rose_guard.evaluation.arm import grid
    from rose_guard.evaluation.arms import arms_named
    from rose_guard.policy.policy import Policy

    chosen = arms_named(names, Policy.load(policy) if policy else None)
    return [each for arm in chosen for each in grid(arm, alphas, horizons, betas)]


def _sweep(tasks: Any, arms: list[Arm], engine: Engine, settings: Any, batch_size: int) -> Sweep:
    """With the classifiers that the arms' policies name."""
    from rose_guard.evaluation.sweep import Sweep
    from rose_guard.langchain.loading import answer_classifier_for, classifier_for

    asking = next((arm.policy() for arm in arms if arm.needs_scores), None)
    classifier, answer_classifier = classifier_for(asking, None), answer_classifier_for(asking, None)
    return Sweep(tasks, arms, [engine], settings, classifier, answer_classifier, batch_size)


def _engine(model: str | None, dtype: str | None, device: str) -> Engine:
    from rose_guard.engines import embedded
    from rose_guard.engines.transformers import TransformersEngine

    if model is not None:
        asked = {"dtype": dtype, "device_map": None if device == "cpu" else device}
        given: dict[str, Any] = {name: value for name, value in asked.items() if value is not None}
        return TransformersEngine.from_pretrained(model, **given)
    if device == "cpu":
        return TransformersEngine.embedded(dtype=dtype or "float32")
    loaded, tokenizer = embedded.load(dtype or "float32")
    untyped: Any = loaded
    return TransformersEngine(untyped.to(device), tokenizer, model_id=embedded.MODEL_ID)
