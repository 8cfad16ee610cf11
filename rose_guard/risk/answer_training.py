"""Training the answer head over fixed embeddings: one calibrated linear map."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from rose_guard.risk.answer_head import AnswerHead
from rose_guard.risk.metrics import sklearn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from rose_guard.risk.answer_corpus import AnswerExample
    from rose_guard.risk.embedder import SentenceEmbedder

WINDOW_TOKENS, OVERLAP_TOKENS = 64, 32
"""Answers are read as the policy's output check reads them by default."""
MOST_WINDOWS = 32
INVERSE_REGULARISATION = 0.001
_SOURCE_WEIGHT, _OWN_EMPHASIS = 500.0, 3.0


class AnswerWindows:
    """Windows of many answers, embedded.

    Args:
        examples: the answers.
        embedder: what embeds them.
    """

    def __init__(self, examples: Sequence[AnswerExample], embedder: SentenceEmbedder) -> None:
        windows, self.owner = [], []
        for i, example in enumerate(examples):
            for part in embedder.parts(example.text, WINDOW_TOKENS, OVERLAP_TOKENS)[:MOST_WINDOWS]:
                windows.append(embedder.windows(part)[0])
                self.owner.append(i)
        self.embeddings: NDArray[np.float32] = embedder.embed(windows).numpy()

    def highest(self, head: AnswerHead) -> NDArray[np.float64]:
        """Each answer's highest score of all its windows."""
        scores = head.scores(torch.from_numpy(self.embeddings)).double().numpy()
        highest = np.zeros(max(self.owner) + 1)
        np.maximum.at(highest, np.array(self.owner), scores)
        return highest


def train(examples: Sequence[AnswerExample], windows: AnswerWindows, encoder: str) -> AnswerHead:
    """Fit the map on the examples of the split ``train``, and calibrate it on those of ``calibrate``.

    Args:
        examples: the answers that the windows come from.
        windows: theirs.
        encoder: version of the embedder.

    Raises:
        ModelLoadError: if scikit-learn is not installed.
    """
    split = np.array([examples[i].split for i in windows.owner])
    harmful = np.array([examples[i].harmful for i in windows.owner])
    source = np.array([examples[i].source for i in windows.owner])
    taught = split == "train"
    weights = np.zeros(len(source))
    for name in set(source[taught]):
        of = taught & (source == name)
        weights[of] = _SOURCE_WEIGHT / of.sum() * (_OWN_EMPHASIS if name == "own answers" else 1.0)
    scaler = sklearn("preprocessing").StandardScaler().fit(windows.embeddings[taught])
    features = scaler.transform(windows.embeddings)
    logistic = sklearn("linear_model").LogisticRegression
    fitted = logistic(C=INVERSE_REGULARISATION, max_iter=2000).fit(
        features[taught], harmful[taught], sample_weight=weights[taught]
    )
    unseen = split == "calibrate"
    scores = fitted.decision_function(features[unseen])[:, None]
    platt = logistic(C=1e6, class_weight="balanced").fit(scores, harmful[unseen])
    slope, shift = platt.coef_[0, 0], platt.intercept_[0]
    weight = slope * fitted.coef_[0] / scaler.scale_
    bias = slope * fitted.intercept_[0] + shift - weight @ scaler.mean_
    return AnswerHead(encoder, torch.from_numpy(weight.astype(np.float32)), torch.tensor(float(bias)))
