"""Buttons on the page of a task: to what the run left in MLflow, and to the run that had computed what is reused."""

from typing import TYPE_CHECKING

import attrs
from airflow.configuration import conf
from airflow.sdk import BaseOperatorLink, get_current_context
from airflow.sdk.bases.xcom import BaseXCom

from pipeline.airflow.names import page_of, run_of
from pipeline.errors import CrossliftError
from pipeline.registry.pages import DATA_DOCS, MLFLOW_RUN, REPORT, TITLES, pages, run_page
from pipeline.results import ADAPT, LANES, PRETRAIN, PROMOTE, VALIDATE
from pipeline.runs.ending import origin_of
from pipeline.runs.graph import EVALUATE, Node
from pipeline.runs.progress import name_of
from pipeline.runs.run import Run

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey

SUMMARY: Node = ("summary", "")
_LANES = {step.name for step in LANES}
_FITTED = {PRETRAIN.name, ADAPT.name, *_LANES}
_TITLES = {VALIDATE.name: (DATA_DOCS,), EVALUATE: (REPORT,), PROMOTE.name: TITLES, SUMMARY[0]: TITLES}


@attrs.define
class Reused(BaseOperatorLink):  # type: ignore[misc]  # Airflow's classes have no types here
    """To the run that had computed what this one reuses; no button where there is none."""

    node: Node
    name = "Reused: the run that computed it"

    def get_link(self, operator: "BaseOperator", *, ti_key: "TaskInstanceKey") -> str:
        """Address of the run's page in Airflow."""
        del operator
        try:
            page = page_of(*origin_of(run_of(ti_key.dag_id, ti_key.run_id), self.node))
        except CrossliftError:
            return ""
        return f"{conf.get('api', 'base_url', fallback='').rstrip('/')}{page}" if page else ""


@attrs.define
class Page(BaseOperatorLink):  # type: ignore[misc]
    """To a page in MLflow; no button where MLflow has no address, or was told nothing of the task.

    Args:
        title: Which one, see `pipeline.registry.pages`.
        node: Whose button it is: one that fitted something leads to what MLflow tells of that.
    """

    title: str
    node: Node

    @property
    def name(self) -> str:
        """What the button says."""
        return self.title

    @property
    def xcom_key(self) -> str:
        """Where Airflow keeps the address: one key for each title."""
        return f"_link_{self.title.lower().replace(' ', '_')}"

    def get_link(self, operator: "BaseOperator", *, ti_key: "TaskInstanceKey") -> str:
        """Address of the page; empty as long as the run was not told to MLflow."""
        del operator
        try:
            return self._address(run_of(ti_key.dag_id, ti_key.run_id))
        except CrossliftError:
            return ""

    def _address(self, run: Run) -> str:
        facts, (task, lane) = run.result(PROMOTE).facts, self.node
        if task not in _FITTED:
            return pages(facts.experiment, facts.logged, facts.model, facts.version).get(self.title, "")
        fitted = lane if task in _LANES else name_of(self.node)
        return run_page(facts.experiment, facts.fitted.get(fitted, ""))


def buttons(node: Node) -> tuple[BaseOperatorLink, ...]:
    """The buttons of a task."""
    titles = _TITLES.get(node[0], (MLFLOW_RUN,) if node[0] in _FITTED else ())
    return (*(() if node == SUMMARY else (Reused(node),)), *(Page(title, node) for title in titles))


def tell_addresses() -> None:
    """Give the buttons of tasks that have ended the addresses that are known by now.

    Airflow asks a button for its address when its task ends, and MLflow is told of lanes and Data Docs later.
    """
    context = get_current_context()
    own = context["ti"]
    for task in context["dag"].tasks:
        for link in task.operator_extra_links:
            if isinstance(link, Page) and (address := link.get_link(task, ti_key=own)):
                BaseXCom.set(link.xcom_key, address, dag_id=own.dag_id, task_id=task.task_id, run_id=own.run_id)
