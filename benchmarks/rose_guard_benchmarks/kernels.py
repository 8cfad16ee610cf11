"""Where a step's time goes: the matrix products by number of rows, computed four ways, and a whole step beside them.

``python -m rose_guard_benchmarks.kernels`` prints a table for each precision, in milliseconds, on the embedded model
and this machine's CPU. The floor is the time that it takes to read the weights once from memory.
"""

from __future__ import annotations

import sys
import time
from functools import partial
from statistics import median
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional

from rose_guard.decoding.packed_linear import pack_linears
from rose_guard.decoding.packed_runner import PackedRunner
from rose_guard.engines import embedded
from rose_guard.engines.worker import worker

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

_ROWS = (1, 2, 3, 4, 5, 6, 8, 16, 32, 64, 128)
_REPETITIONS = 7
_CONTEXT = 100


def _milliseconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1e3


@torch.inference_mode()
def table(dtype: str) -> list[dict[str, float]]:
    """For each number of rows the median time of all linear layers by kernel, and of a step of one row."""
    model, _ = embedded.load(dtype)
    weights = [module.weight for module in model.modules() if isinstance(module, torch.nn.Linear)]
    pack_linears(model)
    runner = PackedRunner(model)
    packed = [torch.ops.mkldnn._reorder_linear_weight(weight.detach()) for weight in weights]  # noqa: SLF001
    floor = sum(weight.nbytes for weight in weights) / _bytes_per_second() * 1e3
    return [{"rows": rows, "floor": floor, **_measure(rows, weights, packed, runner)} for rows in _ROWS]


def _measure(rows: int, weights: list[Tensor], packed: list[Tensor], runner: PackedRunner) -> dict[str, float]:
    inputs = {w.shape[1]: torch.randn(rows, w.shape[1], dtype=w.dtype) for w in weights}
    kernels: dict[str, Callable[[Tensor, Tensor], Any]] = {
        "F.linear": functional.linear,
        "W · xᵀ": lambda x, w: torch.mm(w, x.t()),
        "oneDNN": _onednn,
    }
    taken: dict[str, list[float]] = {name: [] for name in (*kernels, "packed", "step")}
    for _ in range(_REPETITIONS):
        for name, kernel in kernels.items():
            taken[name].append(_milliseconds(partial(_multiply, kernel, inputs, weights)))
        taken["packed"].append(_milliseconds(partial(_multiply, _onednn, inputs, packed)))
        row = runner.open(_CONTEXT + rows)
        runner.read([(row, [1] * _CONTEXT, 0)])
        taken["step"].append(_milliseconds(partial(runner.read, [(row, [1] * rows, rows)])))
        runner.close(row)
    return {name: median(values) for name, values in taken.items()}


def _onednn(rows: Tensor, weight: Tensor) -> Tensor:
    product: Tensor = torch.ops.mkldnn._linear_pointwise(rows, weight, None, "none", [], "")  # noqa: SLF001
    return product


def _multiply(kernel: Callable[[Tensor, Tensor], Any], inputs: dict[int, Tensor], weights: list[Tensor]) -> None:
    for weight in weights:
        kernel(inputs[weight.shape[1]], weight)


def _bytes_per_second() -> float:
    block = torch.zeros(2**26)
    return block.nbytes / (min(_milliseconds(block.sum) for _ in range(5)) / 1e3)


def main() -> None:
    """Print the tables."""
    for dtype in ("float32", "bfloat16"):
        rows = worker.run(table, dtype)
        sys.stdout.write(f"\n{dtype}, floor {rows[0]['floor']:.0f} ms\n\n")
        names = [name for name in rows[0] if name != "floor"]
        sys.stdout.write(f"| {' | '.join(names)} |\n|{' --- |' * len(names)}\n")
        for row in rows:
            sys.stdout.write(f"| {' | '.join(f'{row[name]:.0f}' for name in names)} |\n")


if __name__ == "__main__":
    main()
