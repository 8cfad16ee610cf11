"""Linear layers whose weights lie as the CPU's matrix library wants them."""

from __future__ import annotations

import ctypes
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeGuard

import torch
from torch import nn

if TYPE_CHECKING:
    from torch import Tensor


class PackedLinear(nn.Module):
    """A linear layer with its weight in oneDNN's own layout; the same product, without laying it out at every call.

    The layout holds the weight's values unchanged, and :attr:`weight` and the state dict give them back.

    Args:
        linear: the layer to replace; a bfloat16 one on a CPU. Its parameters are not kept.
    """

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.bias = linear.bias
        self._packed = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach())  # noqa: SLF001
        self.requires_grad_(requires_grad=False)

    @property
    def weight(self) -> Tensor:
        """A copy of the weight as ``nn.Linear`` has it, ``(out_features, in_features)``."""
        weight: Tensor = self._packed.to_dense()
        return weight

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - nn.Linear's own name
        """``input · weightᵀ + bias``, shape ``(..., out_features)``."""
        rows = input.reshape(-1, self.in_features)
        product: Tensor = torch.ops.mkldnn._linear_pointwise(rows, self._packed, self.bias, "none", [], "")  # noqa: SLF001
        return product.view(*input.shape[:-1], self.out_features)

    def extra_repr(self) -> str:
        """As ``nn.Linear`` shows itself."""
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:  # noqa: FBT001
        destination[f"{prefix}weight"] = self.weight
        super()._save_to_state_dict(destination, prefix, keep_vars)

    def __deepcopy__(self, memo: dict[int, Any]) -> PackedLinear:
        """A module of its own with the same tensors: a packed one cannot be copied, and nobody changes it."""
        other = type(self).__new__(type(self))
        nn.Module.__init__(other)
        other.in_features, other.out_features = self.in_features, self.out_features
        other.bias, other._packed = self.bias, self._packed  # noqa: SLF001 - its own
        memo[id(self)] = other
        return other


def pack_linears(model: nn.Module) -> None:
    """Replace a model's bfloat16 linear layers on a CPU by packed ones, where the CPU has kernels for them.

    A weight that something else uses too, as a tied embedding does, stays as it is: nothing is held twice.
    """
    if not _has_kernels():
        return
    users = Counter(id(parameter) for module in model.modules() for parameter in module.parameters(recurse=False))
    for module in list(model.modules()):
        for name, child in module.named_children():
            if _packable(child) and users[id(child.weight)] == 1:
                setattr(module, name, PackedLinear(child))
    _return_freed_memory()


def _packable(module: nn.Module) -> TypeGuard[nn.Linear]:
    """Whether it is a plain layer: accelerate puts a forward of its own on layers whose inputs it moves."""
    if type(module) is not nn.Linear or "forward" in vars(module):
        return False
    return module.weight.device.type == "cpu" and module.weight.dtype == torch.bfloat16


def _return_freed_memory() -> None:
    """Weights are loaded on several threads, and glibc keeps what was freed of each thread's memory for that thread."""
    with suppress(OSError, TypeError, AttributeError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)


def _has_kernels() -> bool:
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())  # noqa: SLF001
