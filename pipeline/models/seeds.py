"""Draws that depend on a seed and a place in the training alone, so that a resumed training repeats itself."""

import numpy as np
import torch


def seed_of(seed: int, epoch: int, step: int) -> int:
    """One seed, below 2^63, for what is drawn in a step of an epoch."""
    mixed = np.random.SeedSequence([seed, epoch, step + 1]).generate_state(1, np.uint64)[0]
    return int(mixed >> np.uint64(1))


def seeded(seed: int, epoch: int, step: int) -> torch.Generator:
    """A generator whose state depends on these three numbers alone."""
    return torch.Generator().manual_seed(seed_of(seed, epoch, step))
