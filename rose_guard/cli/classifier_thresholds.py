"""``rose-guard classifier-thresholds``: the shipped rules, beginning where a classifier's ROC curves say."""

from __future__ import annotations

from importlib.resources import files
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rose_guard.policy.rule import Rule
    from rose_guard.risk.embedded import EmbeddedClassifier

_WIDTH = 120


def classifier_thresholds(
    *,
    head: Annotated[
        Path | None, typer.Option(help="A head that train-classifier wrote; the shipped one unless given.")
    ] = None,
    encoder: Annotated[
        Path | None,
        typer.Option(help="The encoder file beside it, where the embedder was tuned; the shipped one unless given."),
    ] = None,
    multilingual: Annotated[
        bool, typer.Option("--multilingual", help="The multilingual classifier, or a head of it.")
    ] = False,
    false_alarms: Annotated[
        float, typer.Option(help="Share of harmless texts that may score as high; from 0, below 1.")
    ] = 0.005,
) -> None:
    """Print a policy file whose thresholds fit a classifier, read off harmless texts that were kept back."""
    from rose_guard.cli.screen import Screen
    from rose_guard.policy.policy import Policy
    from rose_guard.risk.thresholds import harmless_texts, thresholds

    if not 0.0 <= false_alarms < 1.0:
        raise typer.BadParameter("--false-alarms must be from 0, and below 1")
    screen = Screen()
    with screen.busy("Loading the classifier …"):
        classifier = _classifier(head, encoder, multilingual=multilingual)
    texts = harmless_texts(multilingual=multilingual)
    with screen.progress(f"Scoring {len(texts)} harmless texts …") as advance:
        found = thresholds(classifier, texts, false_alarms, report=advance)
    shipped_name = "embedded-multilingual" if multilingual else "embedded"
    name = classifier.name if head or encoder else shipped_name
    typer.echo(
        f"# Thresholds of {classifier.name}: for each label, where at most {100 * false_alarms:g} % of {len(texts)}"
    )
    typer.echo("# harmless texts that it was not trained on score as high. All else is the shipped policy's.")
    typer.echo(_policy_file(found, name, Policy.default().rules), nl=False)


def _classifier(head: Path | None, encoder: Path | None, *, multilingual: bool) -> EmbeddedClassifier:
    from rose_guard.risk.embedded import EmbeddedClassifier
    from rose_guard.risk.multilingual import MultilingualClassifier

    return MultilingualClassifier(head, encoder) if multilingual else EmbeddedClassifier(head, encoder)


def _policy_file(found: Mapping[str, float], classifier: str, shipped: Mapping[str, Rule]) -> str:
    """The shipped policy's file with a classifier's name and thresholds; what a file may leave out is left out."""
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.width = _WIDTH
    document = yaml.load(files("rose_guard.policy").joinpath("default.yaml").read_text(encoding="utf-8"))
    document["classifier"]["name"] = classifier
    for group in ("hazards", "attacks"):
        for label, rule in document[group].items():
            _begin(rule, _allowed(label, found[label], shipped[label]))
    text = StringIO()
    yaml.dump({key: document[key] for key in ("version", "classifier", "defaults", "hazards", "attacks")}, text)
    return text.getvalue()


def _allowed(label: str, threshold: float, shipped: Rule) -> float:
    """The threshold; where the shipped rule is locked, no higher one than its own."""
    limit = shipped.bands[0].at
    if not shipped.locked or threshold <= limit:
        return threshold
    typer.echo(f"{label} is locked: {limit:.2f} stays, though the curve says {threshold:.2f}", err=True)
    return limit


def _begin(rule: dict[str, Any], threshold: float) -> None:
    """Have a rule fire from the threshold on; a band that would lie below it is left out."""
    bands = rule.get("bands")
    if bands is None:
        rule["threshold"] = threshold
        return
    while len(bands) > 1 and bands[1]["at"] <= threshold:
        del bands[0]
    bands[0]["at"] = threshold
