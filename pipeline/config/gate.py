"""By what the gate decides."""

from pydantic import Field

from pipeline.config.base import Config


class Gate(Config):
    """When a candidate becomes the champion."""

    delta: float = Field(default=0.05, gt=0, lt=1)  # "not worse" allows this share of the best reference's skill
    floor: float = Field(default=0.0005, ge=0)  # and at least this difference in the metric
    alpha: float = Field(default=0.05, gt=0, lt=0.5)  # two-sided; what a scenario spends each night
    resamples: int = Field(default=2000, ge=1000, le=100_000)
    max_age_days: int = Field(default=30, ge=1)  # an older champion gives way to a candidate that is not worse
