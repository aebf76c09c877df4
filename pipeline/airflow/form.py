"""The form by which a run is triggered."""

from airflow.sdk import Param

from pipeline.config import Scenario

TRIAL = (
    "A run whose strategies, seed or epochs are not the scenario's is a trial: its model is registered and does not "
    "serve, unless this is set and the gate passes it."
)


def form(scenario: Scenario) -> dict[str, Param]:
    """Describe the trigger form; the API refuses a value that does not fit, with the reason.

    Limits are exclusive ones: the form would bring a number to an inclusive limit without a word, 30 to a share of 1.
    """
    names = [strategy.name for strategy in scenario.strategies]
    return {
        "strategies": Param(
            names, type="array", items={"type": "string", "enum": names}, examples=names, minItems=1, uniqueItems=True,
            title="Strategies",
            description="Which strategies run. target_only always does: every gain is measured against it.",
        ),
        "seed": Param(
            scenario.seed, type="integer", exclusiveMinimum=-1, exclusiveMaximum=2**31, title="Seed",
            description="From 0. Equal seeds, tables and settings give equal models.",
        ),
        "epochs": Param(
            scenario.training.epochs, type="integer", exclusiveMinimum=0, exclusiveMaximum=1001, title="Epochs",
            description="At most so many passes over the training rows, from 1 to 1000; validation may stop earlier.",
        ),
        **({"target_share": _share(scenario)} if scenario.target_labels else {}),
        "force": Param(
            False, type="boolean", title="Compute again",
            description="Compute again what could be reused. The verdict about the same models and rows stays.",
        ),
        "promote": Param(False, type="boolean", title="Let a trial serve", description=TRIAL),
    }  # fmt: skip


def _share(scenario: Scenario) -> Param:
    less = (
        "A share, above 0 and at most 1: 0.3 leaves out 70 % of the target's rows for training and validation, by a "
        "hash. Such a run has a model of its own and never replaces what serves on all rows."
    )
    return Param(
        scenario.target_share, type="number", exclusiveMinimum=0, exclusiveMaximum=1.0000001,
        title="Share of the target's rows", description=less,
    )  # fmt: skip
