"""What all settings have in common: frozen values, and a key that is not known is an error."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,59}$")]
Share = Annotated[float, Field(gt=0, le=1)]
Kept = Annotated[float, Field(ge=0.0001, le=1)]  # a share of rows; with less there is nothing left to learn from
Thinning = Literal["proportional", "stratified"]
Draw = Annotated[int, Field(ge=0, le=2**31 - 1)]
Weight = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]
LearningRate = Annotated[float, Field(gt=0, le=10)]
Bridge = Literal["users", "items", "item_features", "features"]
Duplicates = Literal["first", "last", "sum", "refuse"]  # which of several rows of one user and item counts
Role = Literal["source", "target", "inputs"]  # of rows in a batch; inputs: rows of the target, seen without labels


class Config(BaseModel):
    """Base of all settings: frozen, and a key that is not known is an error."""

    # what was given is not repeated in pydantic's own words, because it may be a URL with a password
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, hide_input_in_errors=True)
