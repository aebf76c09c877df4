"""From a task to its prepared domains."""

from collections.abc import Callable, Mapping
from pathlib import Path

from pipeline.config import Config, RankingTask
from pipeline.rows.interactions.prepared import Domains
from pipeline.rows.kind import Prepared

# config class of a task -> reader(folder of each domain, target)
PREPARED: dict[type[Config], Callable[[Mapping[str, Path], str], Prepared]] = {RankingTask: Domains.read}


def read_prepared(task: Config, folders: Mapping[str, Path], target: str) -> Prepared:
    """Read what `prepare` published of each domain, the target's among them; the order of the sources is kept."""
    return PREPARED[type(task)](folders, target)
