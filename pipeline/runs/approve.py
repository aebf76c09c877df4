"""approve: a person promotes what the gate could not judge, because the target has no labels."""

import getpass
import logging
from dataclasses import dataclass

from pipeline.errors import StorageError, UserError
from pipeline.folders import Home, exclusive
from pipeline.runs.reference import keep_reference
from pipeline.runs.run import Run

log = logging.getLogger(__name__)

NEEDED = "needed"  # of the tag `approval`: the version may be approved


@dataclass(frozen=True)
class Approval:
    """What an approval did: `champion` serves now, `previous` served before it, if any did."""

    name: str
    champion: int
    previous: int | None
    by: str


def approve(home: Home, name: str, version: int) -> Approval:
    """Let the challenger serve, if the gate lacked the labels to decide; its tags then say who approved it, and when.

    Args:
        home: Where the store and the locks are.
        name: The registered model.
        version: The challenger as the person knows it, so that one that came in the meantime is not meant.

    Raises:
        UserError: there is no such model, the version is not the challenger, or the gate has decided about it.
        CrossliftError: a fresh process could not serve it; nothing was changed.
        StorageError: the store cannot be reached.
    """
    from pipeline.registry.lookup import known
    from pipeline.registry.promote import CHALLENGER, CHAMPION, Move, aliases, promote_version, settle
    from pipeline.registry.tracking import connect, reached

    by = _person()
    client = connect(home)
    known(client, home, name)
    with exclusive(home.lock("promote")):
        with reached(client.tracking_uri):
            found = aliases(client, name)
            waiting, serving = found.get(CHALLENGER), found.get(CHAMPION)
            if version != waiting or version == serving:
                raise UserError(
                    f"{name} version {version}: does not wait for an approval; challenger: {waiting or 'none'}, "
                    f"champion: {serving or 'none'}."
                )
            tags = client.get_model_version(name, str(version)).tags
        if tags.get("approval") != NEEDED:
            raise UserError(
                f"{name} version {version}: the gate says {tags.get('verdict', 'nothing')} about it, and a person "
                f"approves only what cannot be judged without labels of the target. {tags.get('reason', '')}"
            )
        if not promote_version(client, home, Move(name, version, serving, approved=by)):
            raise UserError(
                f"{name}: the champion is no longer {serving or 'none'}; look at `crosslift models show {name}` and "
                "approve again if that is still what you want."
            )
        settle(client, name, version)
    _keep_reference(home, tags.get("run_id", ""))
    return Approval(name, version, serving, by)


def _person() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container whose user has no name
        return "a user without a name"


def _keep_reference(home: Home, run_id: str) -> None:
    """Hold the next night's volumes against those of the run, where it still lies in this home."""
    if run_id and (home.run(run_id) / "plan.json").exists():
        try:
            keep_reference(Run.load(home, run_id))
        except StorageError as error:  # the version serves already
            log.warning("the next night's volumes are held against the passport before this one: %s", error)
