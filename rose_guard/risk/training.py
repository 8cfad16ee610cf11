"""Training the embedded classifier's head, and measuring it on what it was not trained on."""

from __future__ import annotations

import hashlib
import math
from collections import defaultdict
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from rose_guard.errors import ModelLoadError
from rose_guard.risk.head import Head
from rose_guard.taxonomy import ATTACKS, HAZARDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from rose_guard.risk.corpus import Example
    from rose_guard.risk.embedder import SentenceEmbedder

INVERSE_REGULARISATION = 10.0
SOURCE_WEIGHT = 500.0
"""Every source weighs as much as this many examples, however large it is."""
PAIR_EMPHASIS = 3.0
"""The project's own pairs teach the difference that public sets do not, and weigh this much more."""
FLAGGED = 0.5
"""The probability of harm from which a prompt counts as flagged in the training report."""


@dataclass(frozen=True, slots=True)
class SourceReport:
    """What a head does on the examples of one source.

    Args:
        source: the data set.
        examples: how many.
        flagged: share with a probability of harm of at least one half.
        trained_on: whether the head has seen them.
    """

    source: str
    examples: int
    flagged: float
    trained_on: bool


@dataclass(frozen=True, slots=True)
class Report:
    """What a head does, by source, and over everything that it was not trained on.

    Args:
        sources: one report for each source and split.
        auroc: area under the ROC curve, harmful against harmless, never trained on; NaN without both.
        hazard_accuracy: share of the harmful ones never trained on whose likeliest hazard is theirs; NaN without any.
    """

    sources: tuple[SourceReport, ...]
    auroc: float
    hazard_accuracy: float


def embed(examples: Sequence[Example], embedder: SentenceEmbedder) -> NDArray[np.float32]:
    """Embeddings of the first window of each example, shape ``(examples, 384)``."""
    windows = [embedder.windows(example.text)[0] for example in examples]
    # Windows of like length share a batch, so that little of it is padding.
    order = sorted(range(len(windows)), key=lambda i: len(windows[i].ids))
    embeddings = np.empty((len(windows), 384), dtype=np.float32)
    embeddings[order] = embedder.embed([windows[i] for i in order]).numpy()
    return embeddings


def train(examples: Sequence[Example], embeddings: NDArray[np.float32]) -> Head:
    """Fit the three maps on the examples of the training split.

    Args:
        examples: must cover every hazard and every attack.
        embeddings: one row for each example.

    Raises:
        ModelLoadError: if scikit-learn is not installed.
    """
    kept = [i for i, example in enumerate(examples) if example.split == "train"]
    examples, embeddings = [examples[i] for i in kept], embeddings[kept]
    weights = _weights(examples)

    judged = [i for i, example in enumerate(examples) if example.harmful is not None]
    harmful = _logistic_regression().fit(
        embeddings[judged], [bool(examples[i].harmful) for i in judged], sample_weight=weights[judged]
    )
    hazards = list(HAZARDS)
    labelled = [i for i, example in enumerate(examples) if example.hazard is not None]
    hazard = _logistic_regression(class_weight="balanced").fit(
        embeddings[labelled], [hazards.index(str(examples[i].hazard)) for i in labelled]
    )
    attacks = [
        _logistic_regression(class_weight="balanced").fit(
            embeddings, [example.attack == attack for example in examples]
        )
        for attack in ATTACKS
    ]
    tensors = {
        "harmful": (harmful.coef_, harmful.intercept_),
        "hazards": (hazard.coef_, hazard.intercept_),
        "attacks": (np.concatenate([m.coef_ for m in attacks]), np.concatenate([m.intercept_ for m in attacks])),
    }
    maps = {name: (_tensor(weight), _tensor(bias)) for name, (weight, bias) in tensors.items()}
    return Head(
        version=_version(maps),
        weights={name: weight for name, (weight, _) in maps.items()},
        biases={name: bias for name, (_, bias) in maps.items()},
    )


def measure(head: Head, examples: Sequence[Example], embeddings: NDArray[np.float32]) -> Report:
    """What the head does on all examples, those it was not trained on apart.

    Raises:
        ModelLoadError: if scikit-learn is not installed.
    """
    scores = {label: score.numpy() for label, score in head.scores(torch.from_numpy(embeddings)).items()}
    groups: dict[tuple[str, bool], list[bool]] = defaultdict(list)
    for example, score in zip(examples, scores["harmful"], strict=True):
        groups[example.source, example.split == "train"].append(bool(score >= FLAGGED))
    unseen = [i for i, example in enumerate(examples) if example.split == "test" and example.harmful is not None]
    return Report(
        tuple(SourceReport(source, len(g), sum(g) / len(g), trained_on) for (source, trained_on), g in groups.items()),
        auroc=_auroc([bool(examples[i].harmful) for i in unseen], scores["harmful"][unseen]),
        hazard_accuracy=_hazard_accuracy([examples[i].hazard for i in unseen], {h: scores[h][unseen] for h in HAZARDS}),
    )


def _auroc(harmful: list[bool], scores: NDArray[np.float32]) -> float:
    if len(set(harmful)) < len((True, False)):
        return math.nan
    return float(_sklearn("metrics").roc_auc_score(harmful, scores))


def _hazard_accuracy(hazards: list[str | None], scores: dict[str, NDArray[np.float32]]) -> float:
    likeliest = np.array(list(scores))[np.stack(list(scores.values())).argmax(axis=0)] if hazards else []
    hits = [hazard == found for hazard, found in zip(hazards, likeliest, strict=True) if hazard is not None]
    return sum(hits) / len(hits) if hits else math.nan


def _sklearn(module: str) -> Any:
    try:
        return import_module(f"sklearn.{module}")
    except ImportError as error:
        raise ModelLoadError("training needs scikit-learn; run `pip install 'rose-guard[train]'`") from error


def _logistic_regression(**options: Any) -> Any:
    return _sklearn("linear_model").LogisticRegression(C=INVERSE_REGULARISATION, max_iter=5000, **options)


def _weights(examples: Sequence[Example]) -> NDArray[np.float64]:
    sources = [example.source for example in examples]
    size = {source: sources.count(source) for source in set(sources)}
    emphasis = [PAIR_EMPHASIS if source.startswith("contrast pairs") else 1.0 for source in sources]
    return np.array([SOURCE_WEIGHT / size[s] * e for s, e in zip(sources, emphasis, strict=True)])


def _tensor(array: NDArray[np.float64]) -> torch.Tensor:
    return torch.from_numpy(array.astype(np.float32))


def _version(maps: dict[str, tuple[torch.Tensor, torch.Tensor]]) -> str:
    digest = hashlib.sha256()
    for name, (weight, bias) in sorted(maps.items()):
        digest.update(name.encode() + weight.numpy().tobytes() + bias.numpy().tobytes())
    return digest.hexdigest()[:12]
