"""PackedEmbedding: word embeddings that stay in four-bit blocks and are unpacked row by row when they are read."""

from __future__ import annotations

import torch
from torch import nn

from rose_guard.risk.packed_e5 import BLOCK_BYTES, MIDDLE


class PackedEmbedding(nn.Module):
    """Embeddings of token ids.

    Args:
        blocks: uint8 of shape ``(vocabulary, bytes of a row)``, Q4_0 blocks as :mod:`rose_guard.risk.packed_e5` says.
    """

    blocks: torch.Tensor

    def __init__(self, blocks: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("blocks", blocks)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Float32 of shape ``(*ids.shape, features)``."""
        rows = self.blocks[ids].view(*ids.shape, -1, BLOCK_BYTES)
        scales = rows[..., :2].contiguous().view(torch.float16).float()
        halves = torch.cat([rows[..., 2:] & 0x0F, rows[..., 2:] >> 4], dim=-1).float()
        features: torch.Tensor = (scales * (halves - MIDDLE)).flatten(-2)
        return features
