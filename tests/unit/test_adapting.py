"""What an adaptation may see of the target."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from pipeline.config import AdaptSettings, Coral, Scenario
from pipeline.rows.interactions.prepared import DomainData, Domains
from pipeline.scenarios import load_scenario
from pipeline.steps import adapt
from pipeline.views import PAST, View

ROWS = pd.DataFrame(
    [["u", "a", 0], ["u", "b", 1], ["u", "c", 2], ["v", "a", 0]], columns=["user_id", "item_id", "part"]
)


class SeenError(Exception):
    """Carries the views that a learner was given."""

    def __init__(self, views: Mapping[str, View]) -> None:
        super().__init__()
        self.views = views


@pytest.mark.parametrize(("labels", "far", "near"), [(True, 3, 2), (False, 2, 3)])
def test_rows_that_choose_later_are_no_inputs(
    monkeypatch: pytest.MonkeyPatch, *, labels: bool, far: int, near: int
) -> None:
    """The target's validation rows, or those of the source that stand in for them: they would choose what saw them."""

    def seen(views: Mapping[str, View]) -> Any:
        raise SeenError(views)

    domains = Domains((DomainData.build("far", ROWS, None, 1.0),), DomainData.build("near", ROWS, None, 1.0))
    value = load_scenario("demo" if labels else "new_shop").model_dump(mode="json")
    scenario = Scenario.model_validate(value | {"sources": ["far"], "target": "near"})
    monkeypatch.setattr(adapt, "load_prepared", lambda *_: domains)
    monkeypatch.setattr("pipeline.tasks.learners.build_learner", lambda _: SimpleNamespace(adapt=seen))
    with pytest.raises(SeenError) as found:
        adapt.build(AdaptSettings.of(scenario, adapt=Coral(kind="coral")), {}, None, None)  # type: ignore[arg-type]
    past = found.value.views["near"].fields[PAST]
    assert {name: past[name].nnz for name in ("far", "near")} == {"far": far, "near": near}
