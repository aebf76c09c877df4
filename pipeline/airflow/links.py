"""Buttons on the page of a task: to what the run left in MLflow, and to the run that had computed what is reused."""

from typing import TYPE_CHECKING

import attrs
from airflow.configuration import conf
from airflow.sdk import BaseOperatorLink

from pipeline.airflow.names import page_of, run_of
from pipeline.errors import CrossliftError
from pipeline.registry.pages import TITLES, pages
from pipeline.results import PROMOTE
from pipeline.runs.ending import origin_of
from pipeline.runs.graph import Node

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey


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
    """To a page of the run in MLflow; no button where MLflow has no address.

    Args:
        title: Which one, see `pipeline.registry.pages`.
    """

    title: str

    @property
    def name(self) -> str:
        """What the button says."""
        return self.title

    @property
    def xcom_key(self) -> str:
        """Where Airflow keeps the address: one key for each title."""
        return f"_link_{self.title.lower().replace(' ', '_')}"

    def get_link(self, operator: "BaseOperator", *, ti_key: "TaskInstanceKey") -> str:
        """Address of the page."""
        del operator
        try:
            facts = run_of(ti_key.dag_id, ti_key.run_id).result(PROMOTE).facts
        except CrossliftError:
            return ""
        return pages(facts.experiment, facts.logged, facts.model, facts.version).get(self.title, "")


PAGES = tuple(Page(title) for title in TITLES)
