"""A scenario in Markdown, for its page in Airflow."""

from pipeline.config import Scenario


def about(scenario: Scenario) -> str:
    """What a scenario does, which lanes it has, and where to look when it is red."""
    strategies = ", ".join(f"`{strategy.name}`" for strategy in scenario.strategies)
    baselines = ", ".join(f"`{baseline.name}`" for baseline in scenario.baselines)
    return f"""### {scenario.title}
Carries what was learnt on **{", ".join(scenario.sources)}** over to **{scenario.target}** and promotes the best
candidate only where it is proved to help.

* strategies: {strategies}
* baselines: {baselines}
* registered as `crosslift.{scenario.name}`, alias `champion`

A lane that fails costs only itself: the report names it, and `summary` turns the run red. A red `validate` means
that a table broke a rule that stops the run; its log says which, and where the Data Docs lie.
"""
