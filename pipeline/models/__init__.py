"""Rankers: encoders, baselines, and the one interface that they all meet."""
