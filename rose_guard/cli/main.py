"""The command's entry point: errors become one line each and an exit code."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from rose_guard import __version__
from rose_guard.cli import (
    ask,
    bench,
    classifier_thresholds,
    classify,
    model,
    policy,
    train_answer_classifier,
    train_classifier,
)
from rose_guard.cli import eval as evaluation
from rose_guard.errors import RoseGuardError

app = typer.Typer(
    name="rose-guard",
    help="A guardrail for local language models: classify, decide, and decode with reverse prompt contrast.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("ask")(ask.ask)
app.command("classify")(classify.classify)
app.command("bench")(bench.bench)
app.add_typer(policy.app, name="policy")
app.add_typer(evaluation.app, name="eval")
app.add_typer(model.app, name="model")
app.command("train-classifier")(train_classifier.train_classifier)
app.command("classifier-thresholds")(classifier_thresholds.classifier_thresholds)
app.command("train-answer-classifier")(train_answer_classifier.train_answer_classifier)


@app.callback(invoke_without_command=True)
def _options(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    if version:
        typer.echo(__version__)
        raise typer.Exit


def main() -> None:
    """Run the command; exits 0, 1 (the thing failed) or 2 (it was called wrongly)."""
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TQDM_DISABLE", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    try:
        app()
    except RoseGuardError as error:
        typer.echo(str(error), err=True)
        sys.exit(1)
    except BrokenPipeError:  # the reader of our output went away; nothing is left to say
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
