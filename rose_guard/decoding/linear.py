"""Linear layers for a handful of rows on a CPU, where the library's own choice of kernel is slow.

Decoding multiplies each weight matrix with as many rows as there are tokens in the step: few. On CPUs, torch hands one
float32 row to a matrix-vector kernel that reaches half of the memory bandwidth, and 2 to 8 rows to a matrix kernel
made for hundreds. The same product written as ``W · xᵀ`` for up to 5 rows, or given to oneDNN above, is up to four
times as fast; docs/performance.md has the figures. Results differ from ``F.linear`` by rounding alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from torch import Tensor

_FEW_ROWS = 5


class DecodingLinear(nn.Linear):
    """A float32 ``nn.Linear`` whose kernel is chosen by the number of rows; same parameters, same product."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - nn.Linear's own name
        """``input · weightᵀ + bias``, shape ``(..., out_features)``."""
        rows = input.reshape(-1, self.in_features)
        product = self._by_columns(rows) if len(rows) <= _FEW_ROWS else self._by_onednn(rows)
        if self.bias is not None:
            product = product + self.bias
        return product.view(*input.shape[:-1], self.out_features)

    def _by_columns(self, rows: Tensor) -> Tensor:
        """``(W · xᵀ)ᵀ``; an odd row gets a companion, since pairs are faster than single ones."""
        count = len(rows)
        if count % 2:
            rows = torch.cat([rows, rows[-1:]])
        return torch.mm(self.weight, rows.t())[:, :count].t().contiguous()

    def _by_onednn(self, rows: Tensor) -> Tensor:
        product: Tensor = torch.ops.mkldnn._linear_pointwise(rows, self.weight, None, "none", [], "")  # noqa: SLF001
        return product


def speed_up_linears(model: nn.Module) -> None:
    """Let every plain float32 linear layer of a model on a CPU choose its kernel by the number of rows."""
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return
    for module in model.modules():
        if type(module) is nn.Linear and module.weight.device.type == "cpu" and module.weight.dtype == torch.float32:
            module.__class__ = DecodingLinear
