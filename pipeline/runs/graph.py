"""The one graph of a run's tasks, which the DAG, the command line and `plan` share."""

from typing import Any

from pipeline.config import Scenario
from pipeline.results import (
    ADAPT,
    AUDIT,
    BASELINE,
    BLEND,
    CLEAN,
    EMBED,
    INGEST,
    PACKAGE,
    PREPARE,
    PRETRAIN,
    PROMOTE,
    REJUDGED,
    REPORT,
    TUNE,
    VALIDATE,
    VERDICT,
    Step,
)
from pipeline.runs.inputs import start_of

Node = tuple[str, str]  # a task and its lane; the lane is empty where a run has one such task
Graph = dict[Node, tuple[Node, ...]]  # what must have ended before

EVALUATE = "evaluate"
RECORDS: dict[str, tuple[Step[Any], ...]] = {  # task -> the steps whose results it records
    INGEST.name: (INGEST,),
    VALIDATE.name: (CLEAN, VALIDATE),
    PREPARE.name: (PREPARE,),
    AUDIT.name: (AUDIT,),
    EMBED.name: (EMBED,),
    PRETRAIN.name: (PRETRAIN,),
    ADAPT.name: (ADAPT,),
    TUNE.name: (TUNE,),
    BASELINE.name: (BASELINE,),
    BLEND.name: (BLEND,),
    EVALUATE: (VERDICT, REPORT),
    PROMOTE.name: (REJUDGED, PACKAGE, PROMOTE),
}
DATA = (INGEST.name, VALIDATE.name, PREPARE.name, AUDIT.name)
TRAINING = (
    EMBED.name,
    PRETRAIN.name,
    ADAPT.name,
    TUNE.name,
    BASELINE.name,
    BLEND.name,
)  # a failure costs only what needs it


def graph_of(scenario: Scenario) -> Graph:
    """List the tasks of a run, each with what must have ended before it; the longest chain stands first."""
    before: tuple[Node, ...] = ()
    graph: Graph = {}
    for name in DATA:
        graph[name, ""] = before
        before = ((name, ""),)
    plain, read = before, before
    if scenario.encoders:
        graph[EMBED.name, ""] = before
        read = ((EMBED.name, ""),)
    before = read if scenario.model.encoders else plain
    pretrain = (PRETRAIN.name, "")
    graph[pretrain] = before
    for strategy in scenario.strategies:
        begins = start_of(strategy)
        start = ((begins[0].name, begins[1]),) if begins else before
        graph.setdefault(start[0], (pretrain,))  # an adaptation
        graph[TUNE.name, strategy.name] = start
    for one in scenario.baselines:
        before = read if one.encoders else plain
        graph[BASELINE.name, one.name] = (*before, pretrain) if one.name in scenario.begun else before
    lanes = {lane: (task, lane) for task, lane in graph if task in (TUNE.name, BASELINE.name)}
    graph |= {(BLEND.name, one.name): tuple(lanes[member] for member in one.of) for one in scenario.blends}
    graph[EVALUATE, ""] = tuple(node for node in graph if node[0] in TRAINING)
    graph[PROMOTE.name, ""] = ((EVALUATE, ""),)
    return graph


def data_graph(scenario: Scenario) -> Graph:
    """List the tasks from `ingest` to `audit`."""
    return {node: needs for node, needs in graph_of(scenario).items() if node[0] in DATA}


def judged_graph(scenario: Scenario) -> Graph:
    """List the tasks up to the verdict."""
    return {node: needs for node, needs in graph_of(scenario).items() if node[0] != PROMOTE.name}


def lanes_of(graph: Graph) -> dict[str, list[str]]:
    """The lanes of each task that has any."""
    found: dict[str, list[str]] = {}
    for task, lane in graph:
        if lane:
            found.setdefault(task, []).append(lane)
    return found


def direct(graph: Graph) -> Graph:
    """The graph without what goes without saying: a task that waits for another waits for all that this one does."""

    def above(node: Node) -> set[Node]:
        return set(graph[node]).union(*(above(need) for need in graph[node]))

    return {
        node: tuple(need for need in needs if not any(need in above(other) for other in needs))
        for node, needs in graph.items()
    }
