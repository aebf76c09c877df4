"""A scenario as frozen values: what a YAML file may say, and nothing else."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,59}$")]
Share = Annotated[float, Field(gt=0, le=1)]
Weight = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]
LearningRate = Annotated[float, Field(gt=0, le=10)]
Bridge = Literal["users", "items", "item_features", "labels"]


class Config(BaseModel):
    """Base of all settings: frozen, and a key that is not known is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


# --- tables ---------------------------------------------------------------------------------------------------------


class FileTable(Config):
    """Rows from CSV, Parquet or JSON lines below the data folder; `path` may be a glob."""

    path: str
    format: Literal["csv", "parquet", "jsonl"] | None = None  # None: by the file's ending, also before .gz, .bz2, .zst
    columns: dict[str, str] = {}  # canonical name -> name in the file; a column of the same name needs no entry
    constants: dict[str, str] = {}  # canonical name -> one value for all rows, such as the domain of a file


class SqlTable(Config):
    """Rows of a query; `${NAME}` in the URL is replaced by that environment variable, so that no secret is stored."""

    url: str
    query: str
    columns: dict[str, str] = {}
    constants: dict[str, str] = {}


Table = FileTable | SqlTable


class Tables(Config):
    """The tables of a scenario; several sources of one kind are put under each other."""

    interactions: tuple[Table, ...] = Field(min_length=1)
    items: tuple[Table, ...] = ()


class Embedded(Config):
    """The built-in generator: two shops whose customers share tastes, or one shop on two devices."""

    variant: Literal["shops", "devices"] = "shops"
    related: bool = True  # False: the source's tastes say nothing about the target's, so that transfer must not help
    users: int = Field(default=3000, ge=20, le=1_000_000)
    items: int = Field(default=1200, ge=20, le=1_000_000)  # in each shop
    overlap: Share = 0.7  # share of the target's users who are also in the source
    seed: int = 7


# --- splits ---------------------------------------------------------------------------------------------------------


class ShippedSplit(Config):
    """The split that the data set ships, in the column `split`; rows with other values are left out."""

    kind: Literal["shipped"]
    train: tuple[str, ...] = ("train",)
    valid: tuple[str, ...] = ()  # empty: one training row of each user with four or more, chosen by a hash
    test: tuple[str, ...] = ("test",)


class TimeSplit(Config):
    """Train before validation before test, over all users at once; the shares are of the target's rows."""

    kind: Literal["time"]
    valid: Share = 0.1
    test: Share = 0.1


class LeaveLastOutSplit(Config):
    """Each user's last row of the target is for the test and the last but one for validation."""

    kind: Literal["leave_last_out"]


Split = Annotated[ShippedSplit | TimeSplit | LeaveLastOutSplit, Field(discriminator="kind")]


# --- task and model -------------------------------------------------------------------------------------------------


class RankingTask(Config):
    """Rank the target's catalogue for each user."""

    kind: Literal["ranking"] = "ranking"
    cutoffs: tuple[int, ...] = (10, 20)
    metric: Literal["ndcg", "recall", "hit_rate", "mrr"] = "ndcg"  # at the first cutoff; chooses and is gated


class HistoryModel(Config):
    """A user is the weighted sum of the vectors of the items in the history, of all domains."""

    kind: Literal["history"] = "history"
    dim: int = Field(default=128, ge=4, le=1024)
    text_buckets: int = Field(default=4096, ge=16, le=1 << 20)  # feature hashing of title and category words
    dropout: float = Field(default=0.5, ge=0, lt=1)  # share of history items hidden from the encoder in training
    temperature: float = Field(default=0.2, gt=0, le=10)  # fixed: a larger one regularises more


class Training(Config):
    """How a model is fitted; early stopping looks at validation rows only."""

    epochs: int = Field(default=20, ge=1, le=1000)
    patience: int = Field(default=2, ge=1, le=100)
    batch_size: int = Field(default=1024, ge=1, le=1 << 20)
    negatives: int = Field(default=1024, ge=1, le=1 << 20)
    learning_rate: LearningRate = 0.1
    valid_users: int = Field(default=4000, ge=1)  # at most so many validation rows are ranked for a choice


# --- strategies: one `adapt` followed by one `tune` -----------------------------------------------------------------


class NoAdapt(Config):
    """The source model as it was trained."""

    kind: Literal["none"] = "none"


class Coral(Config):
    """Correlation alignment: equal covariances of the features (Sun and Saenko, 2016)."""

    kind: Literal["coral"]
    weight: Weight = 30.0
    epochs: int = Field(default=3, ge=1, le=1000)


class Dann(Config):
    """Domain-adversarial features (Ganin et al., 2016)."""

    kind: Literal["dann"]
    weight: Weight = 0.1
    epochs: int = Field(default=3, ge=1, le=1000)


AdaptConfig = Annotated[NoAdapt | Coral | Dann, Field(discriminator="kind")]


class Scratch(Config):
    """Target-only: the same model, from random weights, on the target alone."""

    kind: Literal["scratch"]


class Direct(Config):
    """Zero-shot: the source model as it is."""

    kind: Literal["direct"]


class Frozen(Config):
    """The source's part stays as it is; only the target's own vectors are trained."""

    kind: Literal["frozen"]
    learning_rate: LearningRate = 0.03


class FineTune(Config):
    """All weights are trained further on the target."""

    kind: Literal["fine_tune"]
    learning_rate: LearningRate = 0.03  # smaller than from scratch: the start is already good


class Joint(Config):
    """Both domains at once from random weights: `source_weight * L_source + target_weight * L_target`."""

    kind: Literal["joint"]
    source_weight: Weight = 0.3
    target_weight: Weight = 1.0


TuneConfig = Annotated[Scratch | Direct | Frozen | FineTune | Joint, Field(discriminator="kind")]

# Which bridges carry a choice over; an empty set needs none. One of those named is enough.
ADAPT_BRIDGES: dict[str, frozenset[str]] = {
    "none": frozenset(),
    "coral": frozenset({"users", "items", "item_features"}),
    "dann": frozenset({"users", "items", "item_features"}),
}
TUNE_BRIDGES: dict[str, frozenset[str]] = {
    "scratch": frozenset(),
    "direct": frozenset({"items", "item_features", "labels"}),
    "frozen": frozenset({"users", "items", "item_features"}),
    "fine_tune": frozenset({"users", "items", "item_features"}),
    "joint": frozenset({"users", "items", "item_features"}),
}
NEEDS_SOURCE_MODEL = frozenset({"direct", "frozen", "fine_tune"})


class Strategy(Config):
    """How source knowledge reaches the target."""

    adapt: AdaptConfig = NoAdapt()
    tune: TuneConfig

    @property
    def name(self) -> str:
        """`target_only`, `fine_tune`, `coral+fine_tune`, ...: also the name of its lane."""
        if self.tune.kind == "scratch":
            return "target_only"
        return self.tune.kind if self.adapt.kind == "none" else f"{self.adapt.kind}+{self.tune.kind}"

    @model_validator(mode="after")
    def _adapt_has_a_use(self) -> Self:
        if self.adapt.kind != "none" and self.tune.kind not in NEEDS_SOURCE_MODEL:
            raise ValueError(
                f"adapt {self.adapt.kind!r} before tune {self.tune.kind!r} would have no effect, because "
                f"{self.tune.kind!r} starts from random weights: leave out adapt, or tune with one of "
                f"{', '.join(sorted(NEEDS_SOURCE_MODEL))}"
            )
        return self


# --- baselines ------------------------------------------------------------------------------------------------------

Domains = Literal["target", "all"]
SourceWeights = Annotated[tuple[Annotated[float, Field(gt=0, le=10)], ...], Field(min_length=1)]


class Baseline(Config):
    """A simple strong method; with `domains: all` the source's weight is chosen on validation."""

    domains: Domains = "target"
    source_weights: SourceWeights = (0.2, 0.4, 0.7)

    @property
    def name(self) -> str:
        """`ease`, or `ease+source` where both domains are used: also the name of its lane."""
        kind = str(getattr(self, "kind"))  # noqa: B009  every subclass has one
        return kind if self.domains == "target" else f"{kind}+source"


class Popularity(Baseline):
    """How often an item was taken in the target."""

    kind: Literal["popularity"]
    domains: Literal["target"] = "target"


class ItemKnn(Baseline):
    """Items that go with those of the history: cosine of idf-weighted columns."""

    kind: Literal["item_knn"]
    neighbours: tuple[int, ...] = (200,)


class UserKnn(Baseline):
    """What similar users took: cosine of idf-weighted rows."""

    kind: Literal["user_knn"]
    neighbours: tuple[int, ...] = (300,)


class Ials(Baseline):
    """Implicit alternating least squares (Hu, Koren and Volinsky, 2008)."""

    kind: Literal["ials"]
    factors: int = Field(default=64, ge=1, le=1024)
    alpha: tuple[float, ...] = (10.0, 20.0)
    regularization: tuple[float, ...] = (30.0, 100.0)
    iterations: int = Field(default=12, ge=1, le=1000)


class Ease(Baseline):
    """Linear item-item weights in closed form (Steck, 2019), over items or over users, whichever are fewer."""

    kind: Literal["ease"]
    regularization: tuple[float, ...] = (100.0, 300.0)
    max_side: int = Field(default=20_000, ge=1)  # rows of the dense matrix: 20,000 need 1.6 GB in fp32


class Blend(Baseline):
    """The plain sum of the standardised scores of iALS and user-kNN."""

    kind: Literal["ials_knn"]
    factors: int = Field(default=64, ge=1, le=1024)
    alpha: tuple[float, ...] = (20.0,)
    regularization: tuple[float, ...] = (100.0,)
    iterations: int = Field(default=12, ge=1, le=1000)
    neighbours: tuple[int, ...] = (300,)


BaselineConfig = Annotated[Popularity | ItemKnn | UserKnn | Ials | Ease | Blend, Field(discriminator="kind")]


# --- gate, scenario -------------------------------------------------------------------------------------------------


class Gate(Config):
    """When a candidate becomes the champion."""

    delta: float = Field(default=0.05, gt=0, lt=1)  # "not worse" allows this share of the reference's metric
    alpha: float = Field(default=0.05, gt=0, lt=0.5)  # two-sided; what a scenario spends each night
    resamples: int = Field(default=2000, ge=1000, le=100_000)
    max_age_days: int = Field(default=30, ge=1)  # an older champion gives way to a candidate that is not worse


class Scenario(Config):
    """One transfer: source domains, the one target, tables, task, model, strategies, gate, schedule."""

    name: Name
    title: str
    sources: tuple[Name, ...] = Field(min_length=1)
    target: Name
    bridges: tuple[Bridge, ...]
    tables: Tables | None = None
    embedded: Embedded | None = None
    pseudonymous: bool = False  # True: user ids are pseudonyms already and are kept as they are
    personal: tuple[str, ...] = ("user_id",)  # columns whose values never appear in a page
    cold_start: bool = False  # True: users or items without a training row in the target are expected in the test
    split: Split
    task: RankingTask = RankingTask()
    model: HistoryModel = HistoryModel()
    training: Training = Training()
    strategies: tuple[Strategy, ...] = Field(min_length=1)
    baselines: tuple[BaselineConfig, ...] = Field(min_length=1)
    gate: Gate = Gate()
    schedule: str | None = None  # cron, UTC; None: only by hand
    seed: int = Field(default=0, ge=0, le=2**31 - 1)
    target_share: Share = 1.0  # share of the target's training rows that is used
    shares: tuple[Share, ...] = ()  # further shares whose curve the report draws

    @property
    def domains(self) -> tuple[str, ...]:
        """The sources, then the target."""
        return (*self.sources, self.target)

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        if self.target in self.sources or len(set(self.sources)) != len(self.sources):
            raise ValueError(f"sources and target must be different domains, got {', '.join(self.domains)}")
        if (self.tables is None) == (self.embedded is None):
            raise ValueError("expected exactly one of 'tables' (your data) and 'embedded' (the built-in generator)")
        for what, lanes in (("strategies", self.strategies), ("baselines", self.baselines)):
            names = [lane.name for lane in lanes]
            if twice := sorted({name for name in names if names.count(name) > 1}):
                raise ValueError(f"{what}: {', '.join(twice)} stands there more than once")
        if "target_only" not in (strategy.name for strategy in self.strategies):
            raise ValueError(
                "strategies: target_only (tune: {kind: scratch}) is missing; every gain is measured against it"
            )
        for strategy in self.strategies:
            for choice, table in ((strategy.adapt.kind, ADAPT_BRIDGES), (strategy.tune.kind, TUNE_BRIDGES)):
                if table[choice] and not table[choice] & set(self.bridges):
                    raise ValueError(
                        f"strategies: {strategy.name} needs one of the bridges {', '.join(sorted(table[choice]))}, "
                        f"but bridges names {', '.join(self.bridges) or 'none'}"
                    )
        return self


class Options(Config):
    """What the trigger form or the command line may change for one run."""

    strategies: tuple[str, ...] = ()  # empty: all of the scenario's
    seed: int | None = Field(default=None, ge=0, le=2**31 - 1)
    epochs: int | None = Field(default=None, ge=1, le=1000)
    target_share: Share | None = None
    force: bool = False  # compute again what could be reused
