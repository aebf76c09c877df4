"""One transfer as a whole."""

from collections.abc import Collection
from typing import Any, Self

from pydantic import Field, model_validator

from pipeline.config.adaptations import AdaptConfig, Choice
from pipeline.config.base import Bridge, Config, Cron, Draw, Duplicates, Kept, Name, Thinning, Title
from pipeline.config.baseline import Baseline
from pipeline.config.baselines import BaselineConfig
from pipeline.config.blends import LaneBlend, refuse_blends
from pipeline.config.data import Embedded, Split, Tables
from pipeline.config.encoders import Encoders, under_one
from pipeline.config.gate import Gate
from pipeline.config.methods import Strategy, TuneConfig, choices
from pipeline.config.models import MODELS, HistoryModel, Model, ModelConfig
from pipeline.config.rankings import RankingTask
from pipeline.config.source_model import begun_by, refuse_rows_of_a_source
from pipeline.config.tasks import ExamplesTask, Task, task_kind
from pipeline.config.training import Training


class Scenario(Config):
    """One transfer: source domains, the one target, tables, task, model, strategies, gate, schedule."""

    name: Name
    title: Title
    sources: tuple[Name, ...] = ()
    source_model: str | None = Field(default=None, min_length=1)  # in the place of sources: what another learnt
    target: Name
    bridges: tuple[Bridge, ...]
    tables: Tables | None = None
    embedded: Embedded | None = None
    pseudonymous: bool = False  # True: user ids are pseudonyms already and are kept as they are
    personal: tuple[str, ...] = ("user_id",)  # columns whose values never appear in a page
    quarantine_limit: float = Field(default=0.2, ge=0, lt=1)  # share of a table's rows; more stops the run
    duplicates: Duplicates = "first"  # of a user and an item, where rows are ranked by them
    cold_start: bool = False  # True: users or items without a training row in the target are expected in the test
    target_labels: bool = True  # False: the target is declared without labels, and none of its rows is trained on
    split: Split
    task: Task = RankingTask()
    model: Model = HistoryModel()
    training: Training = Training()
    strategies: tuple[Strategy, ...] = Field(min_length=1)
    baselines: tuple[BaselineConfig, ...]
    blends: tuple[LaneBlend, ...] = ()
    gate: Gate = Gate()
    schedule: Cron | None = None  # cron, UTC; None: only by hand
    seed: int = Field(default=0, ge=0, le=2**31 - 1)
    target_share: Kept = 1.0  # share of the target's training and validation rows that is used
    thinning: Thinning = "proportional"  # stratified: each class keeps that share of its rows, and at least one
    share_draw: Draw = 0  # another number draws other rows of that share; a claim rests on several
    shares: tuple[Kept, ...] = ()  # further shares whose curve the report draws

    repeats: int = Field(default=1, ge=1, le=100)  # splits whose spread the report shows; each a run of its own

    @property
    def domains(self) -> tuple[str, ...]:
        """The sources, then the target."""
        return (*self.sources, self.target)

    @property
    def teachers(self) -> tuple[str, ...]:
        """What is learnt from beside the target: the sources, or the model that stands for one."""
        return (self.source_model,) if self.source_model else self.sources

    @property
    def begun(self) -> dict[str, str]:
        """Lanes that begin with the model which stands for sources, and which kind of it each can begin with."""
        return begun_by(self) if self.source_model else {}

    @property
    def encoders(self) -> Encoders:
        """The pretrained encoders that parts read; of one type of feature all read the same one."""
        return under_one(one.encoders for one in (self.model, *self.baselines))

    @property
    def oracles(self) -> frozenset[str]:
        """Lanes that train on labels which the target is declared not to have: shown, never chosen or promoted."""
        if self.target_labels:
            return frozenset()
        return frozenset(lane.name for lane in (*self.strategies, *self.baselines) if lane.domains != "source")

    @property
    def blended(self) -> frozenset[str]:
        """Lanes that a blend names."""
        return frozenset(member for blend in self.blends for member in blend.of)

    @model_validator(mode="before")
    @classmethod
    def _has_the_model_of_its_task(cls, given: Any) -> Any:
        """A model without a kind is the one that its task is usually learnt by."""
        if not isinstance(given, dict) or not {"task", "model"} & set(given):
            return given
        if not isinstance(model := given.get("model", {}), dict) or "kind" in model:
            return given
        usual = MODELS.get(task_kind(given.get("task", {})))
        return {**given, "model": {"kind": usual, **model}} if usual else given

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        if self.target in self.sources or len(set(self.sources)) != len(self.sources):
            raise ValueError(f"sources and target must be different domains, got {', '.join(self.domains)}")
        self._check_source_model()
        if (self.tables is None) == (self.embedded is None):
            raise ValueError("expected exactly one of 'tables' (your data) and 'embedded' (the built-in generator)")
        for what, lanes in (("strategies", self.strategies), ("baselines", self.baselines)):
            names = [lane.name for lane in lanes]
            if twice := sorted({name for name in names if names.count(name) > 1}):
                raise ValueError(f"{what}: {', '.join(twice)} stands there more than once")
        self._check_tables()
        self._check_labels()
        self._check_fields()
        self._check_bridges()
        refuse_blends(self, self.task, target_labels=self.target_labels)
        return self

    @property
    def _named(self) -> Collection[str]:
        """The kinds of table that there are."""
        return self.tables.named if self.tables else self.embedded.tables if self.embedded else ()

    def _check_tables(self) -> None:
        """Refuse tables and splits that the task can make nothing of."""
        task = self.task
        if self.split.kind not in task.splits:
            raise ValueError(
                f"split: the task {task.name} is parted by {', '.join(sorted(task.splits))}, got {self.split.kind!r}"
            )
        named = self._named
        if task.tables[0] not in named:
            raise ValueError(f"tables: the task {task.name} learns from {task.tables[0]}, which are not named")
        if unread := [kind for kind in named if kind not in task.tables]:
            raise ValueError(
                f"tables: the task {task.name} reads {' and '.join(task.tables)}, but nothing of {', '.join(unread)}"
            )
        if self.repeats > 1 and self.split.drawn is None:
            raise ValueError(f"repeats: a split by {self.split.kind} divides the rows in one way only; expected hash")
        if self.thinning == "stratified" and not task.strata:
            raise ValueError(f"thinning: the rows of the task {task.name} are of no classes; expected proportional")
        if isinstance(task, ExamplesTask):
            task.refuse_shown(self.personal)
        if isinstance(task, RankingTask):
            task.refuse_events(self.embedded.events if self.embedded else self.tables.events if self.tables else ())
        if task.examples and self.duplicates != "first":
            raise ValueError(
                f"duplicates: rows of the task {task.name} are of no user and item, so {self.duplicates!r} says "
                "nothing; leave it out"
            )
        told = {name for tables in (self.tables.named.values() if self.tables else ()) for one in tables
                for name in one.domains}  # fmt: skip
        if strange := sorted(told - set(self.domains)):
            raise ValueError(
                f"tables: domains names {', '.join(strange)}, which are no domains here; there are "
                f"{', '.join(self.domains)}"
            )

    def _check_source_model(self) -> None:
        """Refuse what asks for rows of a source where only its model is at hand."""
        if bool(self.sources) == (self.source_model is not None):
            raise ValueError(
                "expected exactly one of 'sources' (domains with rows) and 'source_model' (what one taught)"
            )
        if self.source_model is None:
            return
        if self.embedded or not self.target_labels:
            raise ValueError("source_model: expected tables of a target with labels, which choose and judge")
        refuse_rows_of_a_source(self)

    def _check_bridges(self) -> None:
        given = set(self.bridges)
        if strange := sorted(given - self.task.bridges):
            raise ValueError(
                f"bridges: rows of the task {self.task.name} can have {', '.join(sorted(self.task.bridges))} in "
                f"common, not {', '.join(strange)}"
            )
        for baseline in self.baselines:
            if missing := sorted(baseline.bridges - given):
                raise ValueError(
                    f"baselines: {baseline.name} needs the bridge {' and '.join(missing)}, but bridges names "
                    f"{', '.join(self.bridges) or 'none'}; without {' and '.join(missing)} in common the source's rows "
                    "say nothing here"
                )
        for strategy in self.strategies:
            for choice in (strategy.adapt, strategy.tune):
                useful = choice.bridges & self.task.bridges
                if choice.bridges and not useful & given:
                    raise ValueError(
                        f"strategies: {strategy.name} needs one of the bridges {', '.join(sorted(useful))}, "
                        f"but bridges names {', '.join(self.bridges) or 'none'}"
                    )

    def _check_fields(self) -> None:
        """Refuse what cannot read the rows of the task, or cannot predict what they are labelled with."""
        parts: list[tuple[str, ModelConfig | Baseline]] = [("model", self.model)]
        parts += [(f"baselines: {one.name}", one) for one in self.baselines]
        under_one(part.encoders for _, part in parts)
        for what, part in parts:
            if missing := sorted(part.reads - self.task.fields):
                raise ValueError(
                    f"{what} reads {', '.join(missing)}, which rows of the task {self.task.name} do not have, but "
                    f"{', '.join(sorted(self.task.fields)) or 'no field'}"
                )
            for one in self.task.each:  # a baseline learns each label by itself
                if not part.predicts & one.labels:
                    raise ValueError(
                        f"{what} predicts {' or '.join(sorted(part.predicts))}, but the task {one.name} asks for "
                        f"{' or '.join(sorted(one.labels))}"
                    )
            for asked in sorted(part.asks_for):
                if lacking := self.task.lacks(asked, self._named):
                    own = part.encoders.get(asked)
                    raise ValueError(f"{what}{f': encoder: {own}' if own else ''} reads {lacking}")
            self._check_types(what, part)
        for strategy in self.strategies:
            self._check_choice(AdaptConfig, strategy.adapt)
            self._check_choice(TuneConfig, strategy.tune)
            if strategy.tune.apart and not self.model.apart:
                raise ValueError(
                    f"strategies: {strategy.tune.name} needs a model that reads each domain by itself, such as kind: "
                    f"history; a model of kind {self.model.name} reads them as one"
                )

    def _check_types(self, what: str, part: ModelConfig | Baseline) -> None:
        """Refuse what would look at no feature at all."""
        task = self.task.examples
        if task and (why := part.unfit({**task.features, **task.past})):
            raise ValueError(f"{what} {why}")

    def _check_choice(self, union: Any, choice: Choice) -> None:
        """Refuse an adapt or a tune that can make nothing of the task's labels."""
        labels = self.task.predicted
        if not choice.predicts & labels:
            known = choices(union).items()
            able = sorted(kind for kind, one in known if one.model_validate({"kind": kind}).predicts & labels)
            raise ValueError(
                f"strategies: {choice.name} is for rows that are labelled with {' or '.join(sorted(choice.predicts))}, "
                f"but the task {self.task.name} asks for {' or '.join(sorted(labels))}; expected one of "
                f"{', '.join(able)}"
            )

    def _check_labels(self) -> None:
        if self.target_labels:
            if "target_only" not in (strategy.name for strategy in self.strategies):
                raise ValueError(
                    "strategies: target_only (tune: {kind: scratch}) is missing; every gain is measured against it"
                )
            if not self.baselines:
                raise ValueError(
                    "baselines: expected at least one; a strategy that is worse than all of them is no use"
                )
            return
        trained = [lane.name for lane in (*self.strategies, *self.baselines) if lane.domains == "all"]
        if trained:
            raise ValueError(
                f"target_labels is false, but {', '.join(trained)} cannot be fitted without them; expected strategies "
                "with tune {kind: direct}, baselines with domains: source, and, as oracles that are shown only, "
                "target_only and baselines with domains: target"
            )
        adapted = [strategy.name for strategy in self.strategies if strategy.start == "adapted"]
        if adapted and self.task.unlabelled and not self.task.unlabelled & set(self.bridges):
            raise ValueError(
                f"target_labels is false and {', '.join(adapted)} needs the bridge "
                f"{' or '.join(sorted(self.task.unlabelled))}: without labels an adaptation reads the target's "
                "users by their history in the source alone"
            )
        if not {lane.name for lane in (*self.strategies, *self.baselines)} - self.oracles:
            raise ValueError(
                "target_labels is false: expected a strategy with tune {kind: direct} or a baseline with domains: "
                "source; target_only and baselines on the target are oracles then, which are never promoted"
            )
        if self.target_share != 1 or self.shares:
            raise ValueError("target_share and shares: expected to be left out, because target_labels is false")
