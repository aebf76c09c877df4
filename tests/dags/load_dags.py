"""Load the DAG file in a fresh interpreter and print, as JSON, what it is; started by test_retrain.py."""

import json
import sys
import time

HEAVY = ("torch", "pandas", "mlflow", "great_expectations", "numpy", "pyarrow", "sklearn", "scipy", "pytorch_lightning")


def main() -> None:
    """Print modules, CPU seconds, and every DAG's tasks, edges and settings."""
    started = time.process_time()
    from airflow.configuration import conf  # noqa: F401  what follows is Airflow's share
    from airflow.sdk import DAG, BaseOperatorLink, CronDataIntervalTimetable, Param, TaskGroup, dag, task  # noqa: F401

    before = set(sys.modules)
    airflow, started = time.process_time() - started, time.process_time()
    sys.path.insert(0, "dags")
    import retrain

    seconds = {"airflow": airflow, "retrain": time.process_time() - started}
    loaded = sorted(set(HEAVY) & set(sys.modules) - before)
    found = {name: value for name, value in vars(retrain).items() if isinstance(value, DAG)}
    print(
        json.dumps({"seconds": seconds, "heavy": loaded, "dags": {name: describe(one) for name, one in found.items()}})
    )


def describe(one: object) -> dict[str, object]:
    """Tell a DAG's settings and tasks in plain values."""
    return {
        "schedule": getattr(one.timetable, "expression", None),
        "timetable": type(one.timetable).__name__,
        "catchup": one.catchup,
        "max_active_runs": one.max_active_runs,
        "tags": sorted(one.tags),
        "paused": one.is_paused_upon_creation,
        "doc": one.doc_md,
        "params": {name: {"value": one.params[name], **one.params.get_param(name).schema} for name in one.params},
        "tasks": {name: describe_task(each) for name, each in one.task_dict.items()},
    }


def describe_task(each: object) -> dict[str, object]:
    """Tell what the tests look at: edges, rule, retries, timeout, docs, name, links, outlets."""
    return {
        "upstream": sorted(each.upstream_task_ids),
        "rule": str(each.trigger_rule),
        "retries": each.retries,
        "again": [each.retry_policy.evaluate(error, 1, 3).action.value for error in (SystemExit(2), KeyError())]
        if each.retry_policy
        else [],
        "timeout": each.execution_timeout.total_seconds() if each.execution_timeout else None,
        "doc": each.doc_md,
        "shown": each.task_display_name,
        "links": [link.name for link in each.operator_extra_links],
        "outlets": [outlet.name for outlet in each.outlets or []],
        "many_xcoms": bool(getattr(each, "multiple_outputs", False)),
    }


if __name__ == "__main__":
    main()
