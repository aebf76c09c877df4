"""What a step hands to the next one: a few hundred bytes that say where its folder lies."""

from pydantic import BaseModel, ConfigDict, JsonValue


class StepResult(BaseModel):
    """One published folder of a step."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    step: str
    name: str = ""  # the domain, adapt, strategy or baseline; empty where a run has one folder of the step
    fingerprint: str
    folder: str  # below CROSSLIFT_HOME
    manifest: str  # hash of the manifest: equal inputs and seed, equal hash
    reused: bool
    facts: dict[str, JsonValue] = {}


class Cost(BaseModel):
    """What a step cost when it was computed, not when it was reused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cpu_seconds: float
    wall_seconds: float
    peak_mebibytes: float
