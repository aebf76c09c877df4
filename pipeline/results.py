"""What a step hands to the next one: a few hundred bytes that say where its folder lies; and how a run ended."""

from typing import Literal

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


class Outcome(BaseModel):
    """What a run did to what serves. The gate's verdict, its word about the candidate, is another thing."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    outcome: Literal["promoted", "serves already", "waits for approval", "not promoted"]
    reason: str
    model: str  # the registered name
    version: int  # that the outcome is about: what the gate chose, else the candidate
    lane: str
    alias: str  # the strongest that names this version at the end; empty: none
    serving: int | None  # the version that serves at the end
    trial: str  # how the run's options differ from the scenario's; empty: not at all

    @property
    def serves(self) -> bool:
        """Whether the version serves at the end."""
        return self.serving == self.version
