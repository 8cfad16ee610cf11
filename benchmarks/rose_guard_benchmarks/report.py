"""All figures of a machine, each in the precision that is faster there, with the other one beside it."""

from __future__ import annotations

import platform
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import transformers

from rose_guard.risk.embedded import EmbeddedClassifier
from rose_guard_benchmarks.figures import FIGURES
from rose_guard_benchmarks.memory import memory_vs_plain
from rose_guard_benchmarks.subject import Subject

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from rose_guard_benchmarks.figure import Figure

MEMORY = "memory_vs_plain"
NAMES = (*FIGURES, MEMORY)


def machine(device: str) -> dict[str, Any]:
    """What the figures were measured on."""
    return {
        "processor": _processor(),
        "device": torch.cuda.get_device_name() if device != "cpu" else "cpu",
        "torch_threads": torch.get_num_threads(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }


def measure(
    names: Sequence[str],
    dtypes: Sequence[str],
    *,
    model_id: str | None,
    device: str,
    repetitions: int,
    tokens: int,
    busy: Callable[[str], AbstractContextManager[None]],
) -> list[Figure]:
    """Measure figures in every precision.

    Args:
        names: of :data:`NAMES`.
        dtypes: precisions.
        model_id: hub id or folder; None for the embedded model.
        device: ``cpu`` or ``cuda``.
        repetitions: how often each side is measured.
        tokens: limit of an answer.
        busy: shows what is being measured while it is.
    """
    measured: dict[str, list[Figure]] = {name: [] for name in names}
    for dtype in dtypes:
        subject = Subject.load(model_id, dtype, device, EmbeddedClassifier.shared())
        for name in names:
            if name in FIGURES:
                with busy(f"Measuring {name} in {dtype} …"):
                    measured[name].append(FIGURES[name](subject, repetitions, tokens))
        del subject
    if MEMORY in names:
        for dtype in dtypes:
            with busy(f"Measuring {MEMORY} in {dtype} …"):
                measured[MEMORY].append(memory_vs_plain(model_id, dtype, device, tokens))
    return [_faster(figures) for figures in measured.values()]


def _faster(figures: list[Figure]) -> Figure:
    """The figure of the precision in which guarded decoding was faster, or took less."""
    best = min(figures, key=_cost)
    others = {
        figure.dtype: {"ratio": figure.ratio, "low": figure.low, "high": figure.high, **figure.detail}
        for figure in figures
        if figure is not best
    }
    return replace(best, detail={**best.detail, "other_dtypes": others})


def _cost(figure: Figure) -> float:
    guarded = figure.detail.get("medians", {}).get("guarded")
    if guarded is None:
        return figure.ratio
    return float(-guarded if figure.unit.startswith("tokens") else guarded)


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", maxsplit=1)[1].strip()
    return platform.processor()
