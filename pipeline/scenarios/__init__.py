"""The built-in scenarios and a user's own folder of them."""

from pipeline.scenarios.loader import (
    Found,
    apply_options,
    check_file,
    differences,
    find_scenarios,
    json_schema,
    load_scenario,
)

__all__ = ["Found", "apply_options", "check_file", "differences", "find_scenarios", "json_schema", "load_scenario"]
