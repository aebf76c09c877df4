"""Crosslift: carry what was learnt on a rich source over to a poor target, and promote it only where it helps."""
