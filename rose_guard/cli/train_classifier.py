"""``rose-guard train-classifier``: train the embedded classifier."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rose_guard.cli.screen import Screen
    from rose_guard.risk.corpus import Example
    from rose_guard.risk.embedder import SentenceEmbedder
    from rose_guard.risk.encoder_delta import EncoderDelta
    from rose_guard.risk.report import Report


class Tuning(StrEnum):
    """What the embedder is tuned on."""

    ALL = "all"
    OWN = "own"


def train_classifier(
    labelled: Annotated[
        list[Path] | None,
        typer.Argument(help='Your own examples: one {"text", "harmful", "hazard"?, "attack"?} a line.'),
    ] = None,
    *,
    public: Annotated[
        Path | None, typer.Option(help="Folder of public prompt sets as JSON lines; those it holds are used.")
    ] = None,
    measure: Annotated[
        list[Path] | None, typer.Option(help="Examples in the same form that are measured on and never trained on.")
    ] = None,
    tune_encoder: Annotated[
        Tuning | None,
        typer.Option(
            help="Tune the sentence embedder too, on all examples or the project's own; an hour for two seeds."
        ),
    ] = None,
    multilingual: Annotated[
        bool, typer.Option(help="Train the multilingual classifier, on texts in five more languages too.")
    ] = False,
    out: Annotated[
        Path, typer.Option(help="Where to write the head; MODEL_CARD.md and encoder.safetensors go beside it.")
    ] = Path("head.safetensors"),
) -> None:
    """Train on the project's own examples, public sets and yours; print what the classifier flags in each."""
    from rose_guard.cli.screen import Screen
    from rose_guard.risk import corpus, multilingual_corpus, training
    from rose_guard.risk.language_report import HEADS as LANGUAGE_HEADS
    from rose_guard.risk.language_report import by_language
    from rose_guard.risk.model_card import model_card
    from rose_guard.risk.report import measure as measured

    singles = list(corpus.ordinary_prompts())
    if public is not None:
        singles += corpus.public_examples(public)
    for path in labelled or ():
        singles += corpus.labelled_examples(path)
    for path in measure or ():
        singles += corpus.labelled_examples(path, split="test")
    pairs = [*corpus.contrast_pairs(), *corpus.attack_pairs()]
    if multilingual:
        pairs += multilingual_corpus.multilingual_pairs()
        singles += multilingual_corpus.multilingual_ordinary()
    singles += corpus.harmless_parts([*(side for pair in pairs for side in pair), *singles])
    examples = [*(side for pair in pairs for side in pair), *singles]
    screen = Screen()
    if tune_encoder is not None:
        taught = [example for example in singles if tune_encoder is Tuning.ALL or example.origin == "own"]
        delta = _tuned(pairs, taught, screen, multilingual=multilingual)
        delta.save(out.with_name("encoder.safetensors"))
    else:
        delta = _shipped_encoder(multilingual=multilingual)
    embedder = _embedder(delta, multilingual=multilingual)
    with screen.busy(f"Embedding {len(examples)} prompts …"):
        embeddings = training.embed(examples, embedder)
    with screen.busy("Training and measuring …"):
        head = training.train(examples, embeddings, embedder.version)
        report = measured(head, examples, embeddings, leave_out=tune_encoder is Tuning.OWN and not multilingual)
        languages = by_language(head, examples, embeddings) if multilingual else None
    head.save(out)
    out.with_name("MODEL_CARD.md").write_text(
        model_card(head, examples, report, tuned=tune_encoder is not None, languages=languages), encoding="utf-8"
    )
    _show(screen, report)
    if languages is not None:
        screen.table(LANGUAGE_HEADS, (language.row() for language in languages.reports))
        typer.echo(f"the last three at the English threshold {languages.threshold:.2f}")
    typer.echo(f"head {head.version} written to {out}, its model card beside it")


def _shipped_encoder(*, multilingual: bool) -> EncoderDelta:
    from rose_guard.risk import embedded
    from rose_guard.risk import multilingual as other

    return other.shipped_encoder() if multilingual else embedded.shipped_encoder()


def _embedder(delta: EncoderDelta | None, *, multilingual: bool) -> SentenceEmbedder:
    from rose_guard.risk.embedder import SentenceEmbedder
    from rose_guard.risk.multilingual_embedder import MultilingualEmbedder

    return MultilingualEmbedder(delta) if multilingual else SentenceEmbedder(delta)


def _tuned(
    pairs: list[tuple[Example, Example]], singles: list[Example], screen: Screen, *, multilingual: bool
) -> EncoderDelta:
    from rose_guard.risk.encoder_delta import EncoderDelta
    from rose_guard.risk.tuning import MULTILINGUAL, TuningSettings, tune

    embedder = _embedder(None, multilingual=multilingual)
    before = {name: tensor.clone() for name, tensor in embedder.model.state_dict().items()}
    with screen.progress("Tuning the encoder …") as advance:
        tune(
            embedder,
            [pair for pair in pairs if pair[0].split == "train"],
            [example for example in singles if example.split == "train"],
            MULTILINGUAL if multilingual else TuningSettings(),
            report=lambda done, steps, _: advance(done, steps),
        )
    return EncoderDelta.between(before, embedder.model.state_dict())


def _show(screen: Screen, report: Report) -> None:
    from rose_guard.risk.model_card import HAZARD_HEADS, hazard_rows, source_rows

    screen.table(
        ("source", "kind", "examples", "trained on", f"flagged at {report.threshold}", "right hazard"),
        source_rows(report),
    )
    screen.table(HAZARD_HEADS, hazard_rows(report))
    typer.echo(f"never trained on: area under the ROC curve {report.auroc}")
    typer.echo(f"calibration error {report.calibration}")
    for source, value in report.look_alikes.items():
        typer.echo(f"{source}: area under the ROC curve {value}")
    for (bad, good), area in report.left_out.items():
        typer.echo(f"trained without {bad} and {good}: area under the ROC curve {area:.3f}")
