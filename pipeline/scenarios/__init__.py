"""The built-in scenarios and a user's own folder of them."""

from pipeline.scenarios.about import about
from pipeline.scenarios.loader import (
    Found,
    apply_options,
    check_file,
    differences,
    find_scenarios,
    json_schema,
    load_scenario,
    read_options,
)

__all__ = [
    "Found",
    "about",
    "apply_options",
    "check_file",
    "differences",
    "find_scenarios",
    "json_schema",
    "load_scenario",
    "read_options",
]
