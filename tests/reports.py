"""Reports with all their parts filled in by hand, for tests of what people see."""

from pipeline.evaluation.bootstrap import Estimate
from pipeline.evaluation.cases import Case, Cases
from pipeline.evaluation.comparison import ALL, UNMARKED, Comparison, Gain, LaneInfo, SliceView, View
from pipeline.evaluation.contrast import Compared
from pipeline.evaluation.curve import CurvePoint, Transfer
from pipeline.evaluation.gate import Verdict
from pipeline.evaluation.learning import Learning
from pipeline.evaluation.report import Links, NightTold, Report, Rows, StepCost, Told
from pipeline.labels.answers import Answer
from pipeline.labels.curves import Curve
from pipeline.results import Cost, Finding, Mixture, Outcome

SCRIPT = "<script>alert('x')</script> \"quoted\" & 'so'"
RIGHT_TO_LEFT = "\u202eمتجر الكتب القديم\u202c"
ENDLESS = "Donaudampfschifffahrtsgesellschaftskapitaen" * 6
LANES = 15


def estimate(value: float) -> Estimate:
    """An estimate with an interval around it."""
    return Estimate(value=value, low=value - 0.02, high=value + 0.03)


def lane_name(place: int) -> str:
    """Names as long as real ones, the second that of the candidate, the last that of a blend."""
    if place == LANES - 1:
        return "user_knn+source_with_ease+source"
    return ("target_only", "joint", "dann+fine_tune", "coral+linear_probe", "ials+source")[place % 5] + (
        f"_{place}" if place > 4 else ""
    )


def full_report(lanes: int = LANES, shares: tuple[float, ...] = (0.01, 0.03, 0.1, 0.3, 0.8, 0.9, 1.0)) -> Report:
    """Tell of everything that a report can tell of."""
    names = [lane_name(place) for place in range(lanes)]
    infos = tuple(
        LaneInfo(name=name, kind="strategy" if place < 10 else "blend" if place == LANES - 1 else "baseline",
                 domains=("grocer", "florist") if place else ("florist",),
                 counterpart="target_only" if place else None, oracle=False, valid={"ndcg@10": 0.3},
                 valid_domain="florist")
        for place, name in enumerate(names)
    )  # fmt: skip
    values = {name: {"ndcg@10": estimate(0.2 + 0.001 * place)} for place, name in enumerate(names)}
    gains = tuple(
        Gain(lane=name, against="target_only", transfer=True, difference=estimate(0.001 * place), p=0.2, stands=False,
             negative=False)
        for place, name in enumerate(names[1:])
    )  # fmt: skip
    slices = tuple(
        SliceView(by="rows in the source", label=f"{5 * place} to {5 * place + 4}", rows=40, units=40, undefined=0,
                  lanes={name: one["ndcg@10"] for name, one in values.items()}, gains={},
                  by_source={name: estimate(0.04 * (place - 1)) for name in names[1:]})
        for place in range(3)
    )  # fmt: skip
    view = View(rows=400, units=400, lanes=values, gains=gains, smallest_visible=0.01, undefined={}, slices=slices)
    line = tuple((x / 10, x / 12) for x in range(11))
    comparison = Comparison(
        scenario="toy", title=f"From grocer to florist {SCRIPT}", sources=("grocer",), target="florist", seed=0,
        target_share=1.0, target_labels=True, metric="ndcg@10", metrics=("ndcg@10",), level=0.95, resamples=1000,
        judged="5,000 are ranked.", marks={"florist": {"twin": 4}}, test_marks={"twin": 4}, lanes=infos,
        failed=("frozen",), views={ALL: view, UNMARKED: view}, watched="ndcg@10",
        curves=(Curve(title="A curve", note="Look.", axes=("said", "so"), lines=dict.fromkeys(names, line),
                      diagonal=True),),
    )  # fmt: skip
    compared = Compared(
        role="target-only", reference="target_only", units=400, enough=True, candidate_metric=0.2, reference_metric=0.2,
        difference=estimate(0.01), demand="better", margin=0.01, with_margin=estimate(0.02), visible=0.01, undefined=0,
        outcome="failed",
    )  # fmt: skip
    verdict = Verdict(
        verdict="undecided", weak=False, candidate=names[1], lane=None, creep=0.0, metric="ndcg@10", level=0.95,
        units=400, positives=None, reason="Nothing is shown.", comparisons=(compared,), renewal=(), champion=None,
        approvable=False,
    )  # fmt: skip
    outcome = Outcome(
        outcome="not promoted", reason="The gate chose nothing.", model="crosslift.toy", version=3, lane=names[1],
        alias="challenger", serving=2, trial="",
    )  # fmt: skip
    gain = Transfer(lane="joint", value=estimate(0.3), counterpart="target_only", counterpart_value=estimate(0.2),
                    gain=estimate(0.1))  # fmt: skip
    return Report(
        comparison=comparison, verdict=verdict, outcome=outcome,
        curve=tuple(CurvePoint(share=share, metric="ndcg@10", level=0.95, units=400, target_only=estimate(0.2 * share),
                               best=gain, baseline=None) for share in shares),
        shares=shares, costs=(StepCost(step="finetune_target", name=names[1],
                                       cost=Cost(cpu_seconds=2.0, wall_seconds=3.0, peak_mebibytes=100.0)),),
        latencies={names[1]: 0.004}, findings=(Finding(rule="r", where="florist", what="look", remedy="look again"),),
        run_id="toy__cli__20261127T174224_330414", began="2026-11-27T17:42:24+00:00",
        links=Links(data_docs="../../../validate/abc/unhashed/data_docs/index.html",
                    mlflow_run="https://mlflow.example/#/experiments/1/runs/2"),
        nights=tuple(NightTold(ended=1_790_000_000.0 + 86_400 * night, metric="ndcg@10", candidate=estimate(0.3),
                               champion=estimate(0.29) if night else None, target_only=estimate(0.25),
                               promoted=night % 3 == 0) for night in range(12)),
        learning=tuple(Learning(lane=name, loss=((1, 5.0), (2, 4.0), (3, 3.5)), metric=((1, 0.1), (2, 0.3), (3, 0.2)),
                                best=2) for name in names[:10]),
        adapted=(
            Told(name="coral", values={"mmd.before": 0.31234567, "mmd.after": 0.02, "a_distance.before": 1.25,
                                       "a_distance.after": 0.5, "told_rows": 1234.0}),
        ),
        moved=(Told(name=names[1], values={"encoder.numbers": 0.0421, "encoder.<b>": 1.5}),),
        mixtures=(
            Mixture(lane="joint_with_target_only", of=("joint", "target_only"), by="rows in the source",
                    groups=(("0 to 4", 1.0), ("5 to 9", 0.4), ("10 to 14", 0.0), (SCRIPT, 0.0))),
        ),
        cases=full_cases(), rows=(Rows(domain="florist", read=1000, kept={"train": 700, "valid": 100, "test": 150},
                                       quarantined={"future": 20}, dropped={"repeated": 30}),),
        ignored={"interactions": {"baker": 12}},
    )  # fmt: skip


def full_cases() -> Cases:
    """One case with hostile titles, one that the champion has learnt from, and one of a stranger."""
    long, right, script, tea = (
        Answer(key=str(place), text=text) for place, text in enumerate((ENDLESS, RIGHT_TO_LEFT, SCRIPT, "Tea"))
    )
    return Cases(
        before="version 2 (ease)", after="joint", drawn_from=400,
        cases=(
            Case(name="0a1b2c3d", recent=(ENDLESS, SCRIPT), truth=(script,), before=(long, right), after=(script, tea)),
            Case(name="1a1b2c3d", recent=("Tea",), truth=(tea, long), before=None, after=(tea,)),
            Case(name="2a1b2c3d", recent=(), truth=(tea,), before=(), after=(right,)),
        ),
    )  # fmt: skip
