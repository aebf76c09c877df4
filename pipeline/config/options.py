"""What a trigger may change of a scenario."""

from pydantic import Field

from pipeline.config.base import Config, Draw, Kept


class Options(Config):
    """What the trigger form or the command line may change for one run."""

    strategies: tuple[str, ...] = ()  # empty: all of the scenario's
    seed: int | None = Field(default=None, ge=0, le=2**31 - 1)
    epochs: int | None = Field(default=None, ge=1, le=1000)
    target_share: Kept | None = None
    share_draw: Draw | None = None
    split_draw: Draw | None = None
    force: bool = False  # compute again what could be reused
    promote: bool = False  # let a trial serve: a run whose strategies, seed or epochs are not the scenario's
