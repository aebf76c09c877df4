"""What a step hands to the next one: a few hundred bytes that say where its folder lies, and facts of a known shape."""

from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, JsonValue


class Facts(BaseModel):
    """Base of what steps tell beside their artifacts."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a person should know before believing the result."""
        return ()


F = TypeVar("F", bound=Facts)
_STRANGE = 0.05  # share of unknown parts from which a person should know of them


@dataclass(frozen=True)
class Step(Generic[F]):
    """A step's name, and the shape of its facts."""

    name: str
    facts: type[F]


class StepResult(BaseModel, Generic[F]):
    """One published folder of a step."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    step: str
    name: str = ""  # the domain, adapt, strategy or baseline; empty where a run has one folder of the step
    fingerprint: str
    folder: str  # below CROSSLIFT_HOME
    manifest: str  # hash of the manifest: equal inputs and seed, equal hash
    reused: bool
    facts: F


class Cost(BaseModel):
    """What a step cost when it was computed, not when it was reused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cpu_seconds: float
    wall_seconds: float
    peak_mebibytes: float


class Estimate(BaseModel):
    """A metric, or a difference of two, with its interval."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    value: float
    low: float
    high: float


class Finding(Facts):
    """Something that a person should know before believing a result: a rule's name, where, what, and what to do."""

    rule: str
    where: str
    what: str  # with the counts
    remedy: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}. To do: {self.remedy}."


class IngestFacts(Facts):
    """Rows of a domain's main table, and what else is counted: different things in it, and rows of other tables."""

    rows: int
    counted: dict[str, int] = {}
    key: str | None = None  # id of the key that made the pseudonyms; None: ids stand as they were brought
    unreadable: dict[str, int] = {}  # rows of which a value could not be read, by table; not among the others
    ignored_rows: dict[str, dict[str, int]] = {}  # by table and domain, of the whole snapshot
    spellings: tuple[str, ...] = ()  # where ids seem to be spelt in several ways, in words


class TableCounts(Facts):
    """Rows of a table before and after the row rules, and how many each rule, or a value not readable, took out."""

    rows_read: int
    rows: int
    rules: dict[str, int]

    @property
    def lost(self) -> float:
        """The share of its rows in quarantine, in [0, 1]."""
        return 1 - self.rows / self.rows_read if self.rows_read else 0.0


class CleanFacts(Facts):
    """Counts of one domain, by table; `main` is the one whose rows are learnt from."""

    tables: dict[str, TableCounts]
    main: str

    @property
    def learnt(self) -> TableCounts:
        """The counts of the main table."""
        return self.tables[self.main]


class ValidateFacts(Facts):
    """Failed checks by severity, all checks, rows in quarantine, and the page below the folder."""

    failed: dict[str, int]
    checks: int
    quarantined: int
    data_docs: str
    findings: tuple[Finding, ...] = ()  # the warnings among the failed checks
    shares: dict[str, float] = {}  # what the domains and their tables have in common, in [0, 1]


class PrepareFacts(Facts):
    """Rows by part, those that training may use, those left out by reason, and what else its rows tell."""

    rows: dict[str, int]
    kept: int
    dropped: dict[str, int]
    known: dict[str, int] = {}
    latest: str | None = None  # the time of the last row of all; None: there are no times


class EmbedFacts(Facts):
    """Different texts or pictures of a domain; of texts how many are longer than is read, and what is not known."""

    reads: str  # the type of feature
    contents: int
    cut: int
    unknown: float  # share of the parts of texts with a letter that the encoder never met, in [0, 1]

    @property
    def warnings(self) -> tuple[str, ...]:
        """Where the encoder does not know the language."""
        told = (
            f"{self.unknown:.0%} of the parts of the texts are unknown to the encoder: it may not have learnt their "
            "language, and says little of them then. Name another one, or leave `encoder` out."
        )
        return (told,) if self.unknown > _STRANGE else ()


class AuditFacts(Facts):
    """Test rows of the target, how many carry a mark, in all and by kind, and all that is to be known before them."""

    test_rows: int
    marked: int
    kinds: dict[str, int]
    findings: tuple[Finding, ...] = ()

    @property
    def warnings(self) -> tuple[str, ...]:
        """The findings in words."""
        return tuple(map(str, self.findings))


class WatchedFacts(Facts):
    """Facts of what a metric watched while it was fitted."""

    watch: str = ""  # what the metric could not tell

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the metric that watched the epochs could not tell."""
        return (self.watch,) if self.watch else ()


class TrainFacts(WatchedFacts):
    """Epochs that were fitted, and, where a metric watched them, its best value and what it could not tell."""

    epochs: int
    valid: float | None = None
    told: dict[str, float] = {}  # what an adaptation found out about the rows, and how far apart the domains were
    taught_by: str = ""  # the registered model that stands in the place of sources; empty where rows were learnt from
    package: str = ""  # hash of its manifest


class Mixture(BaseModel):
    """How much each of two lanes counts in a blend, by group of units."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    lane: str  # the blend
    of: tuple[str, str]
    by: str  # what divides the units, as slices are called
    groups: tuple[tuple[str, float], ...]  # name, and how much the first of the two counts, in [0, 1]

    def counting(self, share: float) -> set[str]:
        """Those of the two that count at a share."""
        return {one for one, own in zip(self.of, (share, 1 - share), strict=True) if own}

    def told(self, share: float) -> str:
        """A share in words: `joint 60 %, ease 40 %`."""
        return f"{self.of[0]} {100 * share:.0f} %, {self.of[1]} {100 - 100 * share:.0f} %"


class LaneFacts(WatchedFacts):
    """What validation says of a lane, on whose rows, and the settings that it chose."""

    lane: str
    valid: dict[str, float]
    valid_domain: str
    settings: dict[str, JsonValue]
    evidence: dict[str, float] = {}  # LogME of the features that it begins with, or of texts, on the target's rows
    moved: dict[str, float] = {}  # how far each layer is from its start, relative to the start's length
    mixture: Mixture | None = None  # of a blend

    @property
    def chosen(self) -> dict[str, JsonValue]:
        """The settings, and of a blend how much the first lane counts."""
        groups = self.mixture.groups if self.mixture else ()
        return {**self.settings, **{f"share/{name}": share for name, share in groups}}


class VerdictFacts(Facts):
    """The gate's word in short."""

    verdict: str
    lane: str | None  # what it chose
    candidate: str  # what validation picked
    reason: str
    failed: tuple[str, ...]
    unreadable: int | None = None  # the version of a champion that had to be left out
    shows: str = ""  # what the test rows can show; an earlier version noted nothing


class ReportFacts(VerdictFacts):
    """The same, and where the pages lie below the folder; `shared`: those that may be copied elsewhere."""

    html: str
    markdown: str
    data: str
    shared: tuple[str, ...] = ()


class PackageFacts(Facts):
    """The lane that is packed."""

    lane: str
    begun: bool = True  # whether it began with a registered model; an earlier version did not say that it had not


class Outcome(Facts):
    """What a run did to what serves. The gate's verdict, its word about the candidate, is another thing."""

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


class PromoteFacts(Outcome):
    """The outcome, the gate's verdict, and where MLflow tells of it."""

    verdict: str
    logged: str = ""  # id of the run's parent run in MLflow; an earlier version noted none
    experiment: str = ""  # id of its experiment
    store: str = ""  # which MLflow, `local` or its address; an earlier version noted none
    fitted: dict[str, str] = {}  # by lane, or `adapt_domain coral`: id of the run in MLflow that tells of it
    repeats: str = ""  # the earlier run that was logged there, where nothing has changed since; empty: this one was


INGEST = Step("ingest", IngestFacts)
CLEAN = Step("clean", CleanFacts)
VALIDATE = Step("validate", ValidateFacts)
PREPARE = Step("prepare", PrepareFacts)
AUDIT = Step("audit", AuditFacts)
EMBED = Step("embed", EmbedFacts)
PRETRAIN = Step("pretrain_source", TrainFacts)
ADAPT = Step("adapt_domain", TrainFacts)
TUNE = Step("finetune_target", LaneFacts)
BASELINE = Step("fit_baseline", LaneFacts)
BLEND = Step("blend_lanes", LaneFacts)
VERDICT = Step("verdict", VerdictFacts)
REJUDGED = Step("rejudged", VerdictFacts)  # against what served later, from the ranks of the verdict
REPORT = Step("report", ReportFacts)
PACKAGE = Step("package", PackageFacts)
PROMOTE = Step("promote", PromoteFacts)
LANES: tuple[Step[LaneFacts], ...] = (TUNE, BASELINE, BLEND)
