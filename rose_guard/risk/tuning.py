"""Tuning: teaching the sentence embedder the difference between the two sides of a contrast pair.

The embedder's layers and three linear maps over its embeddings learn together. The maps are thrown away; the head is
fitted afterwards, over the tuned embedder. It is tuned once for every seed, and the weights of all tunings are averaged
("model soup", Wortsman et al. 2022, arXiv 2203.05482): each errs on texts of its own.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

from rose_guard.taxonomy import ATTACKS, HAZARDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch import Tensor

    from rose_guard.risk.corpus import Example
    from rose_guard.risk.embedder import SentenceEmbedder

Pair = tuple["Example", "Example"]
_SHORT = 120  # characters of what is mixed in, so that both fit one window


@dataclass(frozen=True, slots=True, kw_only=True)
class TuningSettings:
    """How the embedder is tuned.

    Args:
        epochs: times that every pair is seen.
        layers: which of the encoder's layers are tuned.
        pairs_per_step: pairs in one step.
        learning_rate: of the encoder's layers, after a warm-up over a tenth of all steps; falls linearly to 0.
        head_learning_rate: of the three maps.
        margin: weight of the loss that sets the two sides of a pair apart.
        mixed: share of pairs of which both sides get the same harmless text before or after them, so that one
            harmful sentence among harmless ones is still noticed.
        half: whether products are computed in bfloat16, which is faster where the CPU can.
        seeds: of everything that is drawn, one for each tuning.
    """

    epochs: int = 3
    layers: tuple[int, ...] = (0, 1, 2, 3, 4, 5)
    pairs_per_step: int = 24
    learning_rate: float = 2e-4
    head_learning_rate: float = 2e-3
    margin: float = 1.0
    mixed: float = 0.25
    half: bool = True
    seeds: tuple[int, ...] = (0, 1)


MULTILINGUAL = TuningSettings(epochs=2, layers=tuple(range(4, 12)), learning_rate=3e-4, seeds=(0,))
"""How the multilingual embedder is tuned; its twelve layers take twice the time of the other one's six."""


class _Maps(nn.Module):
    """Linear maps from an embedding to logits of harm, hazards and attacks."""

    def __init__(self, dimensions: int) -> None:
        super().__init__()
        self.harmful = nn.Linear(dimensions, 1)
        self.hazards = nn.Linear(dimensions, len(HAZARDS))
        self.attacks = nn.Linear(dimensions, len(ATTACKS))


def tune(
    embedder: SentenceEmbedder,
    pairs: Sequence[Pair],
    singles: Sequence[Example],
    settings: TuningSettings,
    *,
    report: Callable[[int, int, float], None] = lambda *_: None,
) -> None:
    """Change the embedder's layers in place; the same texts and settings give the same weights on one machine.

    Args:
        embedder: what to tune.
        pairs: a harmful text, or an attack, and its harmless partner.
        singles: examples without a partner; short harmless ones are also what is mixed into pairs.
        settings: how.
        report: called with the step, the number of steps and the loss.
    """
    before = _copied(embedder)
    mean = {name: torch.zeros_like(tensor) for name, tensor in before.items()}
    for nth, seed in enumerate(settings.seeds):
        embedder.model.load_state_dict(before)
        for done, steps, loss in _tuning(embedder, pairs, singles, settings, seed):
            report(nth * steps + done, len(settings.seeds) * steps, loss)
        for name, tensor in _copied(embedder).items():
            mean[name] += tensor / len(settings.seeds)
    embedder.model.load_state_dict(mean)
    embedder.model.train(mode=False)


def _copied(embedder: SentenceEmbedder) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in embedder.model.state_dict().items()}


def _tuning(
    embedder: SentenceEmbedder, pairs: Sequence[Pair], singles: Sequence[Example], settings: TuningSettings, seed: int
) -> Iterator[tuple[int, int, float]]:
    """Tune once; after each step its number, the number of steps and the loss."""
    torch.manual_seed(seed)
    draw = random.Random(seed)  # noqa: S311 - what is drawn is no secret
    maps = _Maps(embedder.dimensions)
    layers = _tuned_layers(embedder, settings)
    optimiser = torch.optim.AdamW(
        [
            {"params": layers, "lr": settings.learning_rate},
            {"params": maps.parameters(), "lr": settings.head_learning_rate},
        ],
        weight_decay=0.01,
    )
    steps = settings.epochs * len(list(_batches(pairs, singles, settings, random.Random(0))))  # noqa: S311
    warm = max(1, steps // 10)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: min((step + 1) / warm, (steps - step) / (steps - warm + 1))
    )
    embedder.model.train()
    epochs = (_batches(pairs, singles, settings, draw) for _ in range(settings.epochs))
    for done, batch in enumerate(chain.from_iterable(epochs), start=1):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=settings.half):
            loss = _loss(embedder, maps, batch, settings)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(layers, 1.0)
        optimiser.step()
        schedule.step()
        yield done, steps, loss.item()


def _tuned_layers(embedder: SentenceEmbedder, settings: TuningSettings) -> list[nn.Parameter]:
    """The parameters that are tuned; no others keep gradients."""
    embedder.model.requires_grad_(requires_grad=False)
    layers = [
        parameter
        for name, parameter in embedder.model.named_parameters()
        if any(f"encoder.layer.{layer}." in name for layer in settings.layers)
    ]
    for parameter in layers:
        parameter.requires_grad_(requires_grad=True)
    return layers


def _batches(
    pairs: Sequence[Pair], singles: Sequence[Example], settings: TuningSettings, draw: random.Random
) -> Iterator[list[Example]]:
    """Examples for each step, partners side by side; texts of like length share a step."""
    texts = [e.text for e in singles if e.harmful is False and len(e.text) < _SHORT]
    units: list[list[Example]] = [list(pair) for pair in pairs]
    for unit in units:
        if draw.random() < settings.mixed:
            before, after = draw.choice([(False, True), (True, False), (True, True)])
            lead = draw.choice(texts) + "\n" if before else ""
            tail = "\n" + draw.choice(texts) if after else ""
            unit[:] = [replace(side, text=f"{lead}{side.text}{tail}") for side in unit]
    units += [[example] for example in singles]
    order = sorted(units, key=lambda unit: len(unit[0].text) * (0.8 + 0.4 * draw.random()))
    size = settings.pairs_per_step
    steps = [order[i : i + size] for i in range(0, len(order), size)]
    draw.shuffle(steps)
    for step in steps:
        yield [example for unit in step for example in unit]


def _loss(embedder: SentenceEmbedder, maps: _Maps, batch: Sequence[Example], settings: TuningSettings) -> Tensor:
    embeddings = embedder.pooled([embedder.windows(example.text)[0] for example in batch])
    harm = maps.harmful(embeddings)[:, 0]
    judged = torch.tensor([i for i, example in enumerate(batch) if example.harmful is not None])
    wanted = torch.tensor([float(bool(batch[i].harmful)) for i in judged])
    loss = functional.binary_cross_entropy_with_logits(harm[judged], wanted)
    if named := [i for i, example in enumerate(batch) if example.hazard is not None]:
        hazards = torch.tensor([list(HAZARDS).index(str(batch[i].hazard)) for i in named])
        loss = loss + functional.cross_entropy(maps.hazards(embeddings[named]), hazards)
    attacks = torch.tensor([[float(example.attack == attack) for attack in ATTACKS] for example in batch])
    loss = loss + functional.binary_cross_entropy_with_logits(maps.attacks(embeddings), attacks)
    partners = [i for i in range(len(batch) - 1) if batch[i].harmful and batch[i + 1].harmful is False]
    if partners:
        apart = harm[partners] - harm[[i + 1 for i in partners]]
        loss = loss + settings.margin * functional.softplus(2.0 - apart).mean()
    return loss
