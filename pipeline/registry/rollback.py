"""Taking the champion out of service."""

from dataclasses import dataclass

from pipeline.errors import UserError
from pipeline.folders import Home, exclusive
from pipeline.registry.lookup import known
from pipeline.registry.outcome import tell_version
from pipeline.registry.promote import CHAMPION, PREVIOUS, ROLLED_BACK, aliases, check_serves, now
from pipeline.registry.tracking import connect, reached


@dataclass(frozen=True)
class Rollback:
    """What a rollback did: `champion` serves now, `previous` served before it; None: nothing did."""

    name: str
    champion: int
    previous: int | None


def rollback(home: Home, name: str) -> Rollback:
    """Let the previous champion serve again; `previous` then names the one that was replaced, if one served.

    The replaced version is tagged, so that no later run promotes the same package again. A second rollback goes back,
    but not to a version that was retired.

    Raises:
        UserError: there is no such model or no previous champion.
        CrossliftError: a fresh process could not serve the previous champion; nothing was changed.
        StorageError: the store cannot be reached.
    """
    client = connect(home)
    known(client, home, name)
    with exclusive(home.lock("promote")):
        with reached(client.tracking_uri):
            found = aliases(client, name)
        serving, previous = found.get(CHAMPION), found.get(PREVIOUS)
        if previous is None or serving == previous:
            raise UserError(
                f"{name}: there is nothing to roll back to; champion: {serving or 'none'}, previous: "
                f"{previous or 'none'}. A version becomes `previous` when another one is promoted."
            )
        check_serves(client, home, name, previous)
        when = now()
        since = f"version {serving} was rolled back" if serving else "nothing served"
        again = f"Champion again since {when}, when {since}."
        with reached(client.tracking_uri):
            if serving is not None:
                client.set_model_version_tag(name, str(serving), ROLLED_BACK, when)
            client.set_registered_model_alias(name, CHAMPION, str(previous))
            if serving is None:
                client.delete_registered_model_alias(name, PREVIOUS)
            else:
                client.set_registered_model_alias(name, PREVIOUS, str(serving))
                told = f"Rolled back on {when}; version {previous} served again."
                tell_version(client, name, serving, "rolled back", told)
            if ROLLED_BACK in client.get_model_version(name, str(previous)).tags:
                client.delete_model_version_tag(name, str(previous), ROLLED_BACK)
            tell_version(client, name, previous, "promoted", again)
    return Rollback(name, previous, serving)
