"""What a step may read of a scenario is one object, and the fingerprint is the hash of all that is in it."""

import inspect
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from pipeline.config import (
    AdaptSettings,
    AuditSettings,
    BaselineSettings,
    BlendSettings,
    CarrySettings,
    CheckSettings,
    CleanSettings,
    Coral,
    Direct,
    DomainSettings,
    Ease,
    EmbedSettings,
    FitSettings,
    Gate,
    HistoryModel,
    IngestSettings,
    JudgeSettings,
    LaneBlend,
    LeaveLastOutSplit,
    Options,
    PackageSettings,
    Popularity,
    PreparedSettings,
    PrepareSettings,
    PretrainSettings,
    RankingTask,
    Reading,
    RejudgeSettings,
    Relevant,
    ReportSettings,
    RowWeight,
    Scenario,
    Settings,
    Strategy,
    Training,
    TrainSettings,
    TuneSettings,
)
from pipeline.folders import Home
from pipeline.results import PRETRAIN, Outcome, TrainFacts
from pipeline.runs.run import Run
from pipeline.runs.transaction import transact
from pipeline.scenarios import load_scenario
from pipeline.steps import (
    adapt,
    audit,
    baseline,
    blend,
    carry,
    embed,
    finetune,
    ingest,
    judging,
    packaging,
    prepare,
    pretrain,
    report,
    validate,
)

BUILDERS = {
    IngestSettings: ingest.build,
    CleanSettings: validate.clean,
    CheckSettings: validate.check,
    PrepareSettings: prepare.build_target,
    AuditSettings: audit.build,
    EmbedSettings: embed.build,
    PretrainSettings: pretrain.build,
    AdaptSettings: adapt.build,
    CarrySettings: carry.build,
    TuneSettings: finetune.build,
    BaselineSettings: baseline.build,
    BlendSettings: blend.build,
    JudgeSettings: judging._judge,
    RejudgeSettings: judging._judge_again,
    ReportSettings: report.build,
    PackageSettings: packaging.build,
}
MORE: dict[str, Any] = {  # what is not the scenario's
    "alike": {}, "reading": Reading(),
    "domain": "florist", "domains": ("florist", "grocer"), "key": "k", "without_rows": "", "as_of": None,
    "needs_time": False, "reference_content": "c", "reference_rows": {"florist": 3}, "share": 1.0, "draw": 0,
    "stratified": False,
    "needs": ("train",), "cold_start": False, "wanted": True, "adapt": Coral(kind="coral"),
    "strategy": Strategy(tune=Direct(kind="direct")), "oracle": False, "baseline": Ease(kind="ease"), "oracles": (),
    "held_back": False, "blend": LaneBlend(of=("joint", "ease")), "prefer": 1,
    "champion": None, "unreadable": None, "points": (), "splits": (),
    "outcome": None, "lane": "ease", "code": "1", "by_time": True, "began": None, "ignored": {}, "forgotten": "",
    "spellings": (), "ordered": (), "rows": (), "links": {}, "nights": (), "taught_by": "crosslift.demo version 2",
    "reads": "text", "encoder": "minilm", "fingerprint": "f", "way": "w",
}  # fmt: skip
OUTCOME = Outcome(
    outcome="promoted", reason="Why.", model="m", version=1, lane="ease", alias="champion", serving=1, trial=""
)
OTHER: dict[str, tuple[Any, ...]] = {  # other values of each field, also deep inside
    "sources": (("baker",),), "target": ("baker",), "target_labels": (False,), "domain": ("grocer",),
    "domains": (("florist",),), "key": (None,), "without_rows": ("florist",), "as_of": ("2026-01-01",),
    "ordered": (("model sequence",),),
    "needs_time": (True,), "name": ("other",), "title": ("Other",), "bridges": ((),), "personal": ((),),
    "quarantine_limit": (0.3,), "duplicates": ("last",),
    "split": (LeaveLastOutSplit(kind="leave_last_out"),), "reference_content": ("d",),
    "reference_rows": ({"florist": 4},), "share": (0.5,), "draw": (1,), "stratified": (True,),
    "needs": ((),), "cold_start": (True,), "by_time": (False,), "forgotten": ("f",),
    "began": ("2026-01-01T00:00:00+00:00",), "ignored": ({"interactions": {"baker": 2}},),
    "spellings": (("user_id: two",),),
    "task": (
        RankingTask(cutoffs=(5,)), RankingTask(weight=RowWeight(half_life_days=9)),
        RankingTask(relevant=Relevant(event=("purchase",))),
    ), "seed": (1,), "model": (HistoryModel(dim=8),),
    "training": (Training(epochs=3),), "wanted": (False,),
    "adapt": (Coral(kind="coral", weight=1.0), Coral(kind="coral", epochs=1)),
    "strategy": (Strategy(adapt=Coral(kind="coral", weight=1.0), tune=Direct(kind="direct")),), "oracle": (True,),
    "baseline": (Ease(kind="ease", regularization=(1.0,)),), "target_share": (0.5,), "thinning": ("stratified",),
    "strategies": ((Strategy(tune=Direct(kind="direct")),),), "baselines": ((Popularity(kind="popularity"),),),
    "gate": (Gate(alpha=0.1),), "repeats": (20,), "splits": (({},),),
    "held_back": (True,), "blend": (LaneBlend(of=("joint", "ials")),), "prefer": (0,),
    "blends": ((LaneBlend(of=("ials", "ease")),),), "oracles": (("target_only",),), "champion": ("p",),
    "unreadable": (3,),
    "shares": ((0.5,),), "points": (({"share": 0.5},),), "outcome": (OUTCOME,), "lane": ("joint",), "code": ("2",),
    "rows": (({},),), "links": ({"data_docs": "elsewhere"},), "nights": (({},),),
    "source_model": ("models:/crosslift.demo/1",), "taught_by": ("crosslift.demo version 1",),
    "pseudonymous": (True,), "alike": ({"user_id": ("case",)},),
    "reading": (Reading(null=("-",)), Reading(timezones={"seen": "Asia/Tokyo"})),
    "reads": ("image",), "encoder": ("/other",), "fingerprint": ("g",), "way": ("v",),
}  # fmt: skip


def settings_of(cls: type[Settings]) -> Settings:
    """Settings of the demo scenario."""
    return cls.of(load_scenario("demo"), **{name: MORE[name] for name in cls.model_fields if name in MORE})


def all_settings(base: type[Settings] = Settings) -> set[type[Settings]]:
    """Find every class of settings."""
    return {one for cls in base.__subclasses__() if cls.__module__.startswith("pipeline.")
            for one in (cls, *all_settings(cls))}  # fmt: skip


def test_every_step_has_its_settings() -> None:
    """Each class of settings is one builder's, but for those that others build on."""
    assert all_settings() - {DomainSettings, PreparedSettings, FitSettings, TrainSettings} == set(BUILDERS)


@pytest.mark.parametrize("cls", BUILDERS, ids=lambda cls: cls.__name__)
def test_a_builder_gets_settings_and_inputs_and_nothing_else(cls: type[Settings]) -> None:
    """No run and no scenario reaches it, neither as an argument nor around the function."""
    build = BUILDERS[cls]
    settings, inputs, *paths = list(inspect.signature(build).parameters.values())
    assert settings.annotation is cls
    assert "Mapping" in str(inputs.annotation)
    assert [one.annotation for one in paths if one.kind is not one.KEYWORD_ONLY] == [Path, Path]
    assert {one.name for one in paths if one.kind is one.KEYWORD_ONLY} <= {"champion", "find_champion", "night"}
    assert inspect.isfunction(build)
    assert build.__closure__ is None
    assert not {"Run", "Scenario", "load_scenario"} & set(build.__code__.co_names)


@pytest.mark.parametrize("cls", BUILDERS, ids=lambda cls: cls.__name__)
def test_what_is_not_in_the_settings_cannot_be_read(cls: type[Settings]) -> None:
    """A field of the scenario that is not the step's own is no attribute of what its builder gets."""
    given = settings_of(cls)
    others = set(Scenario.model_fields) - set(cls.model_fields)
    assert {"schedule", "embedded"} <= others
    for name in others - {"domains", "oracles"}:
        with pytest.raises(AttributeError):
            getattr(given, name)


@pytest.mark.parametrize("cls", BUILDERS, ids=lambda cls: cls.__name__)
def test_each_field_changes_the_fingerprint(cls: type[Settings], own_home: Path) -> None:
    """Whichever value of the settings is another one, the step is computed again; equal ones find what was there."""
    run = Run.start(Home(own_home), "r", load_scenario("demo"), Options())
    look_up = partial(transact, run, PRETRAIN, lambda *_: TrainFacts(epochs=0), inputs={})
    given = settings_of(cls)
    first = look_up(settings=given).fingerprint
    assert look_up(settings=settings_of(cls)).reused
    for name in cls.model_fields:
        for value in OTHER[name]:
            assert getattr(given, name) != value
            again = look_up(settings=given.model_copy(update={name: value}))
            assert (again.reused, again.fingerprint == first) == (False, False), name


def test_settings_are_frozen() -> None:
    """What was hashed is what is read."""
    with pytest.raises(ValueError, match="frozen"):
        settings_of(PretrainSettings).seed = 3  # type: ignore[attr-defined]
