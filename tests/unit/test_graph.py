"""The one graph of a run's tasks: their order, what each records, and what goes without saying."""

from graphlib import TopologicalSorter
from pathlib import Path

from pipeline import results
from pipeline.config import Options, Scenario
from pipeline.folders import Home
from pipeline.runs import graph as tasks
from pipeline.runs.run import Run
from pipeline.scenarios import apply_options, load_scenario
from pipeline.steps import function_of


def test_graph_has_the_dags_order() -> None:
    """Every task waits for what it reads; baselines and what starts from random weights wait for the audit alone."""
    graph = tasks.graph_of(load_scenario("demo"))
    order = list(TopologicalSorter(graph).static_order())
    assert len(order) == len(set(order)) == len(graph) == 4 + 1 + 2 + 7 + 8 + 2
    assert graph["finetune_target", "coral+fine_tune"] == (("adapt_domain", "coral"),)
    assert graph["finetune_target", "fine_tune"] == (("pretrain_source", ""),)
    for lane in (("finetune_target", "joint"), ("finetune_target", "target_only"), ("fit_baseline", "ials+source")):
        assert graph[lane] == (("audit", ""),)
    assert len(graph["evaluate", ""]) == 1 + 2 + 7 + 8
    assert graph["promote", ""] == (("evaluate", ""),)
    assert list(tasks.data_graph(load_scenario("demo"))) == [(step, "") for step in tasks.DATA]


def test_texts_are_encoded_only_for_who_reads_them() -> None:
    """Lanes without the encoder do not wait for it, and a scenario without one has no such task."""
    said = load_scenario("fake_reviews").model_dump()
    said["baselines"] = [*said["baselines"], {"kind": "linear", "encoder": "minilm"}]
    graph = tasks.graph_of(Scenario.model_validate(said))
    assert graph["embed", ""] == (("audit", ""),)
    assert graph["fit_baseline", "linear_minilm"] == (("embed", ""),)
    assert graph["pretrain_source", ""] == graph["fit_baseline", "linear"] == (("audit", ""),)
    said["model"]["encoder"] = "minilm"
    graph = tasks.graph_of(Scenario.model_validate(said))
    assert graph["pretrain_source", ""] == graph["finetune_target", "target_only"] == (("embed", ""),)
    assert graph["fit_baseline", "linear"] == (("audit", ""),)


def test_every_task_has_a_function_and_tells_what_it_records() -> None:
    """Whoever reads the graph finds what runs a task, and which records a repeat must drop."""
    graph = tasks.graph_of(load_scenario("demo"))
    more = {"embed", "blend_lanes"}  # of a pretrained encoder and of blends, which it has not
    assert {*(task for task, _ in graph), *more} == set(tasks.RECORDS)
    run = Run(Home(Path("/nowhere")), "r", load_scenario("demo"))
    assert all(getattr(function_of(task, run), "__name__", "") == task for task in tasks.RECORDS)
    recorded = [step.name for steps in tasks.RECORDS.values() for step in steps]
    assert sorted(recorded) == sorted(one.name for one in vars(results).values() if isinstance(one, results.Step))


def test_what_goes_without_saying_is_left_out() -> None:
    """Of what a task waits for only the last tasks are named, and what a scenario has not is not there."""
    demo = tasks.graph_of(load_scenario("demo"))
    lanes = {node for node in demo if node[0] in {"finetune_target", "fit_baseline"}}
    assert set(tasks.direct(demo)["evaluate", ""]) == lanes
    assert tasks.direct(demo)["prepare", ""] == demo["prepare", ""]
    assert tasks.lanes_of(demo)["adapt_domain"] == ["coral", "dann"]
    kept = Options(strategies=("target_only", "fine_tune"))
    plain = tasks.graph_of(apply_options(load_scenario("demo"), kept))
    assert set(tasks.lanes_of(plain)) == {"finetune_target", "fit_baseline"}
