"""What to try after a finished run."""

import shlex
from pathlib import Path

from pipeline.folders import Home


def next_commands(home: Home, scenario: str) -> list[str]:
    """Commands that show what the run left behind; they name the home where it is not the default one."""
    named = "" if home.root == Path(".crosslift").resolve() else f"CROSSLIFT_HOME={shlex.quote(str(home.root))} "
    program = f"{named}.venv/bin/crosslift"
    return [
        f"{program} models show crosslift.{scenario}",
        f"{program} recommend {scenario} --help",
        f"{program} run {scenario} --target-share 0.3",
        f"{named}make up",
    ]
