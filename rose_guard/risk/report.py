"""Report: what a head does, by source and hazard, on what it was and was not trained on."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from rose_guard.risk.corpus import PARTS
from rose_guard.risk.metrics import Estimate, auroc, calibration_error, estimate, flagged, threshold_at
from rose_guard.risk.training import harm_scores
from rose_guard.taxonomy import ATTACKS, HAZARDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from rose_guard.risk.corpus import Example
    from rose_guard.risk.head import Head

FALSE_ALARMS = (0.005, 0.01)
"""The shares of held-out harmless texts at which each hazard's thresholds are read off its ROC curve."""


@dataclass(frozen=True, slots=True)
class SourceReport:
    """What a head does on the examples of one source and kind.

    Args:
        source: the data set.
        kind: ``harmful``, ``harmless`` or ``attack``.
        trained_on: whether the head has seen them.
        examples: how many.
        flagged: share with a probability of harm at or above the report's threshold.
        named: share of those with a hazard whose likeliest hazard is theirs; NaN without any.
    """

    source: str
    kind: str
    trained_on: bool
    examples: int
    flagged: Estimate
    named: float


@dataclass(frozen=True, slots=True)
class HazardReport:
    """What a head does on held-out prompts of one hazard.

    Args:
        hazard: the label.
        examples: how many harmful ones.
        auroc: their scores for it against those of held-out harmless prompts.
        thresholds: for each of :data:`FALSE_ALARMS`, where at most that share of harmless ones scores as high.
        recall: share of the harmful ones at or above each of them; its interval takes the threshold as given.
        named: share of the harmful ones whose likeliest hazard it is.
    """

    hazard: str
    examples: int
    auroc: Estimate
    thresholds: tuple[float, ...]
    recall: tuple[Estimate, ...]
    named: float


@dataclass(frozen=True, slots=True)
class Report:
    """What a head does.

    Args:
        threshold: from which a probability of harm counts as flagged.
        sources: by source, kind and split.
        hazards: by hazard, on the project's own held-out texts, as all that follows.
        attacks: area under the ROC curve by attack.
        auroc: harmful against harmless.
        calibration: expected calibration error.
        look_alikes: area under the ROC curve of other sources that hold both kinds and were not trained on.
        left_out: by harmful and harmless public source, the area under the ROC curve of a head trained without either.
    """

    threshold: float
    sources: tuple[SourceReport, ...]
    hazards: tuple[HazardReport, ...]
    attacks: dict[str, Estimate]
    auroc: Estimate
    calibration: Estimate
    look_alikes: dict[str, Estimate]
    left_out: dict[tuple[str, str], float]


def measure(
    head: Head,
    examples: Sequence[Example],
    embeddings: NDArray[np.float32],
    *,
    threshold: float = 0.7,
    leave_out: bool = False,
) -> Report:
    """Everything there is to say of a head on these examples.

    Args:
        head: what was trained.
        examples: what it was trained and is measured on.
        embeddings: one row for each example.
        threshold: from which a probability of harm counts as flagged.
        leave_out: also train heads without some public sets and measure on those; it says something only where the
            encoder was not tuned on them.

    Raises:
        ModelLoadError: if scikit-learn is not installed.
    """
    scores = {label: score.double().numpy() for label, score in head.scores(torch.from_numpy(embeddings)).items()}
    likeliest = np.array(list(HAZARDS))[np.stack([scores[h] for h in HAZARDS]).argmax(axis=0)]
    own = [i for i, e in enumerate(examples) if e.split == "test" and e.origin == "own"]
    held = np.array([i for i in own if examples[i].harmful is not None], dtype=int)
    harmful = np.array([bool(examples[i].harmful) for i in held], dtype=bool)
    wanted = np.array([examples[i].hazard or "" for i in held])
    harmless = [i for i, e in enumerate(examples) if e.split != "train" and e.origin == "own" and e.harmful is False]
    return Report(
        threshold,
        _by_source(examples, scores["harmful"], likeliest, threshold),
        tuple(
            _hazard(hazard, scores[hazard][harmless], scores[hazard][held], wanted == hazard, likeliest[held])
            for hazard in HAZARDS
            if hazard in wanted
        ),
        {a: estimate(auroc, scores[a][own], np.array([examples[i].attack == a for i in own])) for a in ATTACKS},
        estimate(auroc, scores["harmful"][held], harmful),
        estimate(calibration_error, scores["harmful"][held], harmful),
        _look_alikes(examples, scores["harmful"]),
        _left_out(examples, embeddings) if leave_out else {},
    )


def _by_source(
    examples: Sequence[Example], harm: NDArray[np.float64], likeliest: NDArray[np.str_], threshold: float
) -> tuple[SourceReport, ...]:
    groups: dict[tuple[str, str, bool], list[int]] = defaultdict(list)
    for i, example in enumerate(examples):
        groups[example.source, _kind(example), example.split == "train"].append(i)
    return tuple(
        SourceReport(
            *group,
            len(found),
            estimate(flagged(threshold), harm[found], np.ones(len(found), dtype=bool)),
            _share([likeliest[i] == examples[i].hazard for i in found if examples[i].hazard is not None]),
        )
        for group, found in groups.items()
    )


def _kind(example: Example) -> str:
    return "attack" if example.harmful is None else "harmful" if example.harmful else "harmless"


def _share(hits: Sequence[bool]) -> float:
    return float(np.mean(hits)) if hits else math.nan


def _look_alikes(examples: Sequence[Example], harm: NDArray[np.float64]) -> dict[str, Estimate]:
    found = {}
    for source in dict.fromkeys(e.source for e in examples if e.origin == "given" and e.split == "test"):
        rows = [i for i, e in enumerate(examples) if e.source == source and e.harmful is not None]
        harmful = np.array([bool(examples[i].harmful) for i in rows], dtype=bool)
        if harmful.any() and not harmful.all():
            found[source] = estimate(auroc, harm[rows], harmful)
    return found


def _hazard(
    hazard: str,
    harmless_scores: NDArray[np.float64],
    scores: NDArray[np.float64],
    wanted: NDArray[np.bool_],
    likeliest: NDArray[np.str_],
) -> HazardReport:
    thresholds = tuple(threshold_at(rate, harmless_scores) for rate in FALSE_ALARMS)
    both = np.concatenate([scores[wanted], harmless_scores])
    return HazardReport(
        hazard,
        int(wanted.sum()),
        estimate(auroc, both, np.arange(len(both)) < wanted.sum()),
        thresholds,
        tuple(estimate(flagged(t), scores[wanted], np.ones(wanted.sum(), dtype=bool)) for t in thresholds),
        float((likeliest[wanted] == hazard).mean()),
    )


def _left_out(examples: Sequence[Example], embeddings: NDArray[np.float32]) -> dict[tuple[str, str], float]:
    """Leave one harmful and one harmless public source out, train on the rest, measure on the two.

    Parts are left out of all of it: they are of the texts of every source.
    """
    whole = np.array([example.source != PARTS for example in examples])
    examples, embeddings = [example for example in examples if example.source != PARTS], embeddings[whole]
    public = sorted({(e.source, bool(e.harmful)) for e in examples if e.origin == "public" and e.split == "train"})
    found = {}
    for bad in [source for source, harmful in public if harmful]:
        for good in [source for source, harmful in public if not harmful]:
            out = np.array([example.source in (bad, good) for example in examples])
            scores = harm_scores(
                [e for e in examples if e.source not in (bad, good)], embeddings[~out], embeddings[out]
            )
            found[bad, good] = auroc(scores, np.array([bool(e.harmful) for e in examples if e.source in (bad, good)]))
    return found
