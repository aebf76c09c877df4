"""Taking the champion out of service where nothing is to serve in its place."""

from dataclasses import dataclass

from pipeline.errors import UserError
from pipeline.folders import Home, exclusive
from pipeline.registry.lookup import known
from pipeline.registry.outcome import tell_version
from pipeline.registry.promote import CHAMPION, ROLLED_BACK, aliases, now
from pipeline.registry.tracking import connect, reached


@dataclass(frozen=True)
class Retired:
    """The version that no longer serves."""

    name: str
    version: int


def retire(home: Home, name: str) -> Retired:
    """Let nothing serve until a run promotes again, by what the gate asks of a first night.

    The version stays registered, and is tagged as after a rollback: no later run promotes the same package again.

    Raises:
        UserError: there is no such model, or nothing serves.
        StorageError: the store cannot be reached.
    """
    client = connect(home)
    known(client, home, name)
    with exclusive(home.lock("promote")), reached(client.tracking_uri):
        if (serving := aliases(client, name).get(CHAMPION)) is None:
            raise UserError(f"{name}: no version serves, so there is none to take out of service.")
        when = now()
        client.set_model_version_tag(name, str(serving), ROLLED_BACK, when)
        client.delete_registered_model_alias(name, CHAMPION)
        tell_version(client, name, serving, "retired", f"Taken out of service on {when}; nothing serves in its place.")
    return Retired(name, serving)
