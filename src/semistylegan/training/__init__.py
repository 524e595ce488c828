"""Training: what to learn (config), one update of it (step), and the loop around it."""

from semistylegan.training.config import TrainConfig
from semistylegan.training.loop import train
from semistylegan.training.run import Run

__all__ = ["Run", "TrainConfig", "train"]
