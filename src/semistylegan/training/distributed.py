"""Several processes that train one model: who this one is."""

from __future__ import annotations

import torch.distributed as dist


def count() -> int:
    """Processes of this training; 1 without torchrun."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    """Which of them this is, from 0."""
    return dist.get_rank() if dist.is_initialized() else 0
