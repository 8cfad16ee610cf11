"""Training the embedded classifier's head over fixed embeddings: three calibrated linear maps."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from rose_guard.risk.head import Head
from rose_guard.risk.metrics import sklearn
from rose_guard.taxonomy import ATTACKS, HAZARDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from rose_guard.risk.corpus import Example
    from rose_guard.risk.embedder import SentenceEmbedder

INVERSE_REGULARISATION = 0.001
SOURCE_WEIGHT = 500.0
"""Every source weighs as much as this many examples, however large it is."""
PAIR_EMPHASIS = 3.0
"""The project's own pairs teach the difference that public sets do not, and weigh this much more."""


def embed(examples: Sequence[Example], embedder: SentenceEmbedder) -> NDArray[np.float32]:
    """Embeddings of the first window of each example, shape ``(examples, dimensions)``."""
    embeddings: NDArray[np.float32] = embedder.embed([embedder.windows(e.text)[0] for e in examples]).numpy()
    return embeddings


def train(examples: Sequence[Example], embeddings: NDArray[np.float32], encoder: str) -> Head:
    """Fit the three maps on the examples of the split ``train``.

    The probability of harm is calibrated by Platt's method on those of ``calibrate``, which neither encoder nor head
    has seen, harmful and harmless ones weighing the same.

    Args:
        examples: must cover every hazard and every attack.
        embeddings: one row for each example.
        encoder: version of the embedder that they come from.

    Raises:
        ModelLoadError: if scikit-learn is not installed.
    """
    kept = [i for i, example in enumerate(examples) if example.split != "test"]
    examples, embeddings = [examples[i] for i in kept], embeddings[kept]
    centre, scale = embeddings.mean(axis=0), embeddings.std(axis=0) + 1e-6
    features = (embeddings - centre) / scale
    maps = {
        "harmful": _harmful(examples, features),
        "hazards": _hazards(examples, features),
        "attacks": _attacks(examples, features),
    }
    return Head.of({name: _unscaled(weight, bias, centre, scale) for name, (weight, bias) in maps.items()}, encoder)


def harm_scores(
    examples: Sequence[Example], embeddings: NDArray[np.float32], asked: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Uncalibrated scores of harm that a map fitted on some examples gives to other embeddings."""
    judged = [i for i, example in enumerate(examples) if example.harmful is not None and example.split == "train"]
    scaler = sklearn("preprocessing").StandardScaler().fit(embeddings[judged])
    fitted = _logistic_regression().fit(
        scaler.transform(embeddings[judged]),
        [bool(examples[i].harmful) for i in judged],
        sample_weight=source_weights([examples[i] for i in judged]),
    )
    scores: NDArray[np.float64] = fitted.decision_function(scaler.transform(asked))
    return scores


Map = tuple["NDArray[np.float64]", "NDArray[np.float64]"]


def _harmful(examples: Sequence[Example], features: NDArray[np.float32]) -> Map:
    judged = [i for i, e in enumerate(examples) if e.harmful is not None and e.split == "train"]
    wanted = [bool(examples[i].harmful) for i in judged]
    weights = source_weights([examples[i] for i in judged])
    fitted = _logistic_regression().fit(features[judged], wanted, sample_weight=weights)
    slope, shift = _platt(examples, fitted.decision_function(features))
    return slope * fitted.coef_, slope * fitted.intercept_ + shift


def _platt(examples: Sequence[Example], scores: NDArray[np.float64]) -> tuple[float, float]:
    """Slope and shift that make scores of unseen examples probabilities; 1 and 0 without such examples."""
    unseen = [i for i, e in enumerate(examples) if e.harmful is not None and e.split == "calibrate"]
    wanted = [bool(examples[i].harmful) for i in unseen]
    if len(set(wanted)) < len((True, False)):
        return 1.0, 0.0
    even = sklearn("linear_model").LogisticRegression(C=1e6, class_weight="balanced").fit(scores[unseen, None], wanted)
    return float(even.coef_[0, 0]), float(even.intercept_[0])


def _hazards(examples: Sequence[Example], features: NDArray[np.float32]) -> Map:
    named = [i for i, e in enumerate(examples) if e.hazard is not None and e.split == "train"]
    wanted = [list(HAZARDS).index(str(examples[i].hazard)) for i in named]
    weights = source_weights([examples[i] for i in named])
    fitted = _logistic_regression(class_weight="balanced").fit(features[named], wanted, sample_weight=weights)
    return fitted.coef_, fitted.intercept_


def _attacks(examples: Sequence[Example], features: NDArray[np.float32]) -> Map:
    taught = [i for i, e in enumerate(examples) if e.split == "train"]
    fitted = [
        _logistic_regression(class_weight="balanced").fit(
            features[taught], [examples[i].attack == attack for i in taught]
        )
        for attack in ATTACKS
    ]
    return np.concatenate([m.coef_ for m in fitted]), np.concatenate([m.intercept_ for m in fitted])


def source_weights(examples: Sequence[Example]) -> NDArray[np.float64]:
    """What each example weighs: its source's weight, shared equally."""
    size = Counter(example.source for example in examples)
    return np.array(
        [
            SOURCE_WEIGHT / size[e.source] * (PAIR_EMPHASIS if e.source.startswith("contrast pairs") else 1.0)
            for e in examples
        ]
    )


def _logistic_regression(**options: Any) -> Any:
    return sklearn("linear_model").LogisticRegression(C=INVERSE_REGULARISATION, max_iter=2000, **options)


def _unscaled(
    weight: NDArray[np.float64], bias: NDArray[np.float64], centre: NDArray[np.float32], scale: NDArray[np.float32]
) -> tuple[torch.Tensor, torch.Tensor]:
    """The same map over embeddings as they come."""
    weight = weight / scale
    return torch.from_numpy(weight.astype(np.float32)), torch.from_numpy((bias - weight @ centre).astype(np.float32))
