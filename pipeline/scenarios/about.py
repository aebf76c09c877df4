"""A scenario in Markdown, for its page in Airflow."""

from pipeline.config import Scenario


def about(scenario: Scenario) -> str:
    """What a scenario does, which lanes it has, and where to look when it is red."""
    strategies = ", ".join(f"`{strategy.name}`" for strategy in scenario.strategies)
    baselines = ", ".join(f"`{baseline.name}`" for baseline in scenario.baselines)
    blends = ", ".join(f"`{blend.name}`" for blend in scenario.blends)
    return f"""### {scenario.title}
Carries what was learnt on **{", ".join(scenario.teachers)}** over to **{scenario.target}** and promotes the best
candidate only where it is proved to help.

* strategies: {strategies}
* baselines: {baselines}{f"{chr(10)}* blends: {blends}" if blends else ""}
* registered as `crosslift.{scenario.name}`, alias `champion`

**How a run ended** stands in the log of `summary`: what was reused and computed, every lane with its interval, the
verdict, what became of it, and why. *Details* of `summary` has buttons to the MLflow run, the report, the Data Docs and
the registered version; *Details* of a reused task has one to the run that computed it.

**When it is red:** a lane that fails costs only itself: the report names it, and `summary` turns the run red. A red
`validate` means that a table broke a rule that stops the run; its log says which, and where the Data Docs lie.

**After a bad night** what served before serves again by `crosslift models rollback crosslift.{scenario.name}`;
`crosslift models why crosslift.{scenario.name}` tells how it came to serve.
"""
