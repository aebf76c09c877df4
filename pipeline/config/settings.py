"""What each step may read of a scenario: one frozen value a step, which its fingerprint hashes as a whole.

What computes a step gets its settings and its inputs, and never the scenario: nothing that could change a result can go
unseen when the result is looked up again.
"""

from typing import Any, Literal, Self

from pydantic import JsonValue, SerializeAsAny

from pipeline.config.adaptations import Adaptation
from pipeline.config.base import Bridge, Config, Duplicates, Name, Share, TaskConfig, Thinning
from pipeline.config.baseline import Baseline
from pipeline.config.blends import LaneBlend
from pipeline.config.data import Split
from pipeline.config.encoders import Encoded
from pipeline.config.gate import Gate
from pipeline.config.mapping import Alike, Reading
from pipeline.config.methods import Further, Strategy
from pipeline.config.models import ModelConfig
from pipeline.config.scenario import Scenario
from pipeline.config.training import Training
from pipeline.results import Outcome


class Settings(Config):
    """Base of the settings of all steps."""

    @classmethod
    def of(cls, scenario: Scenario, **more: Any) -> Self:
        """Take what a scenario has of the fields, and the rest as given."""
        own = {name: getattr(scenario, name) for name in cls.model_fields if name not in more}
        return cls(**own, **more)


class DomainSettings(Settings):
    """Who is source and who is target, and whether the target has labels."""

    sources: tuple[Name, ...]
    target: Name
    target_labels: bool

    @property
    def domains(self) -> tuple[str, ...]:
        """The sources, then the target."""
        return (*self.sources, self.target)


class IngestSettings(Settings):
    """`key` names the key of the pseudonyms, None where ids stay; `without_rows` is a domain that may have none.

    `forgotten`: the hash of who is left out, empty where nobody is.
    """

    domain: Name
    domains: tuple[str, ...]  # sorted: which of them is the target does not matter
    task: SerializeAsAny[TaskConfig]
    key: str | None
    without_rows: str
    forgotten: str


class CleanSettings(Settings):
    """`as_of` is the end of the run's data interval, None where only the wide range of times counts."""

    task: SerializeAsAny[TaskConfig]
    as_of: str | None
    needs_time: bool


class CheckSettings(DomainSettings):
    """`ordered`: what reads an order; `reference_...`: what volumes are held against, and its rows by domain."""

    name: Name
    title: str
    task: SerializeAsAny[TaskConfig]
    bridges: tuple[Bridge, ...]
    personal: tuple[str, ...]
    ordered: tuple[str, ...]
    quarantine_limit: float
    split: Split
    as_of: str | None
    reference_content: str
    reference_rows: dict[str, int]


class PrepareSettings(Settings):
    """One domain; `share` of its rows for training is kept, and the parts that it `needs` must not be empty."""

    domain: Name
    task: SerializeAsAny[TaskConfig]
    split: Split
    share: float
    draw: int
    stratified: bool
    duplicates: Duplicates
    needs: tuple[str, ...]


class PreparedSettings(DomainSettings):
    """What reads prepared domains knows whose rows they are."""

    task: SerializeAsAny[TaskConfig]


class AuditSettings(PreparedSettings):
    """`cold_start`: the test may hold what no training row has; `by_time`: the split goes by time.

    `began`: when the run did, None where no row is later; `ignored`: rows of other domains, by table and domain;
    `spellings`: where ids seem to be spelt in several ways.
    """

    cold_start: bool
    by_time: bool
    began: str | None
    ignored: dict[str, dict[str, int]]
    spellings: tuple[str, ...]


class EmbedSettings(Settings):
    """Texts or pictures of one domain; `fingerprint` is the encoder's, `way` names the code that reads them by it."""

    domain: Name
    task: SerializeAsAny[TaskConfig]
    reads: Encoded
    encoder: str
    fingerprint: str
    way: str


class FitSettings(PreparedSettings):
    """What every fit reads, and what judges it."""

    seed: int


class TrainSettings(FitSettings):
    """What every fit of a network reads; `bridges` holds items alone, if anything, where only sources take part."""

    bridges: tuple[Bridge, ...]
    model: SerializeAsAny[ModelConfig]
    training: Training

    @property
    def fitting(self) -> Training:
        """The training with the model's own rate, where the scenario says none."""
        return self.training.model_copy(update={"learning_rate": self.training.learning_rate or self.model.rate})


class PretrainSettings(TrainSettings):
    """`wanted`: a strategy starts from the source's model."""

    wanted: bool


class CarrySettings(TrainSettings):
    """A registered model in the place of sources; which one it is, is an input, and `taught_by` says it to people."""

    taught_by: str


class AdaptSettings(TrainSettings):
    """One adaptation."""

    adapt: SerializeAsAny[Adaptation]


class TuneSettings(TrainSettings):
    """One strategy; `oracle`: it sees labels that the target is declared not to have.

    `held_back`: a blend asks for it, and what validation judges of it is published as well.
    """

    strategy: Strategy
    oracle: bool
    held_back: bool

    @property
    def fitting(self) -> Training:
        """The training at the strategy's rate, where it has one of its own."""
        tune = self.strategy.tune
        if not isinstance(tune, Further):
            return super().fitting
        return self.training.model_copy(update={"learning_rate": tune.learning_rate or self.model.further_rate})


class BaselineSettings(FitSettings):
    """One baseline; the seed is 0 where the method draws nothing, so that another seed fits nothing again.

    `held_back`: see `TuneSettings`.
    """

    bridges: tuple[Bridge, ...]
    baseline: SerializeAsAny[Baseline]
    oracle: bool
    held_back: bool


class BlendSettings(FitSettings):
    """One blend; `prefer`: which of the two lanes serves alone where neither is better."""

    blend: LaneBlend
    prefer: Literal[0, 1]


class JudgeSettings(FitSettings):
    """What the verdict hangs on, beside candidates, rows and marks."""

    name: Name
    title: str
    source_model: str | None
    target_share: Share
    thinning: Thinning
    bridges: tuple[Bridge, ...]
    model: SerializeAsAny[ModelConfig]
    training: Training
    strategies: tuple[Strategy, ...]
    baselines: tuple[SerializeAsAny[Baseline], ...]
    blends: tuple[LaneBlend, ...]
    gate: Gate
    personal: tuple[str, ...]
    oracles: tuple[str, ...]

    @property
    def teachers(self) -> tuple[str, ...]:
        """What is learnt from beside the target: the sources, or the model that stands for one."""
        return (self.source_model,) if self.source_model else self.sources


class RejudgeSettings(JudgeSettings):
    """`champion`: the package that serves by now; `unreadable`: its version, where it had to be left out."""

    champion: str | None
    unreadable: int | None


class ReportSettings(Settings):
    """What the pages tell beside the inputs.

    `points` and `splits`: of other shares and splits; `rows`: what became of those of each domain, `ignored`: of the
    others; `links`: by name; `nights`: earlier ones; `outcome`: None while nobody knows what became of the run.
    """

    task: SerializeAsAny[TaskConfig]
    shares: tuple[Share, ...]
    strategies: tuple[Strategy, ...]
    blends: tuple[LaneBlend, ...]
    points: tuple[JsonValue, ...]
    repeats: int
    splits: tuple[JsonValue, ...]
    rows: tuple[JsonValue, ...]
    ignored: dict[str, dict[str, int]]
    links: dict[str, str]
    nights: tuple[JsonValue, ...]
    outcome: Outcome | None


class PackageSettings(PreparedSettings):
    """One lane; `pseudonymous`: user ids stand as they were brought, else `key` names what made them.

    `alike`: which spellings of an id are one, by column; `reading`: how values of rows are read; `personal`: what the
    example of a request must not show.
    """

    name: Name
    lane: str
    personal: tuple[str, ...]
    bridges: tuple[Bridge, ...]
    pseudonymous: bool
    key: str | None
    alike: dict[str, tuple[Alike, ...]]
    reading: Reading
    code: str  # version of Crosslift
