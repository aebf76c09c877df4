"""How a model is fitted."""

from pydantic import Field

from pipeline.config.base import Config, LearningRate


class Training(Config):
    """How a model is fitted; early stopping looks at validation rows only."""

    epochs: int = Field(default=20, ge=1, le=1000)
    patience: int = Field(default=2, ge=1, le=100)
    batch_size: int = Field(default=1024, ge=1, le=1 << 20)
    negatives: int = Field(default=1024, ge=1, le=1 << 20)
    learning_rate: LearningRate | None = None  # None: as the model has it
    valid_users: int = Field(default=4000, ge=1)  # at most so many validation rows are ranked after each epoch
