"""What the next night's volumes are held against."""

from pipeline.folders import read_json, write_json
from pipeline.results import AUDIT
from pipeline.runs.run import Run


def keep_reference(run: Run) -> None:
    """Keep the passport of what serves: the next night's volumes are held against it; not for thinned experiments."""
    audited = run.results(AUDIT).get("")
    if audited is None or run.scenario.target_share != 1:
        return
    kept = run.home.root / "reference" / run.scenario.name / "passport.json"
    passport = read_json(run.path(audited) / "passport.json")
    if not kept.exists() or read_json(kept) != passport:
        write_json(kept, passport)
