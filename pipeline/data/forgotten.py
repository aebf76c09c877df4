"""Who is to be forgotten: a list of keyed hashes below the home, by which `ingest` leaves rows out."""

import hmac
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pipeline.errors import StorageError
from pipeline.folders import Home, digest, exclusive, read_json, write_json

if TYPE_CHECKING:
    import pyarrow as pa

_EVERYWHERE = ""  # the scenario of those who are forgotten in all


@dataclass(frozen=True)
class Forgotten:
    """The hashes that count for one scenario, and the columns in which an id is looked for."""

    salt: str
    hashes: frozenset[str]
    columns: tuple[str, ...]

    @classmethod
    def read(cls, home: Home, scenario: str, columns: Iterable[str]) -> "Forgotten":
        """Read the list.

        Raises:
            StorageError: it is damaged, so that nobody knows whose rows must not be read.
        """
        found = _read(home)
        hashes = (found["hashes"].get(name, ()) for name in (_EVERYWHERE, scenario))
        return cls(found["salt"], frozenset(one for those in hashes for one in those), tuple(sorted(columns)))

    @cached_property
    def identity(self) -> str:
        """Hash of what is left out; empty where nobody is to be forgotten."""
        return digest([self.salt, sorted(self.hashes), self.columns]) if self.hashes else ""

    def left_out_of(self, tables: "Mapping[str, pa.Table]") -> "dict[str, pa.Table]":
        """The tables without the rows of those who are to be forgotten, whose ids stand as they are published."""
        if not self.hashes:
            return dict(tables)
        return {name: self._left_out(table) for name, table in tables.items()}

    def _left_out(self, table: "pa.Table") -> "pa.Table":
        import pyarrow as pa
        import pyarrow.compute as pc

        for column in (name for name in self.columns if name in table.column_names):
            ids = pc.unique(table[column].cast(pa.string())).drop_null().to_pylist()
            known = [one for one in ids if _hash(one, self.salt) in self.hashes]
            table = table.filter(pc.invert(pc.is_in(table[column].cast(pa.string()), pa.array(known, pa.string()))))
        return table


def forget(home: Home, ids: Iterable[str], scenario: str | None) -> None:
    """Put ids, as they are published, on the list: of one scenario, or of all.

    Raises:
        StorageError: the list is damaged or cannot be written.
    """
    with exclusive(home.lock("forgotten")):
        found = _read(home)
        name = scenario or _EVERYWHERE
        hashes = {_hash(one, found["salt"]) for one in ids} | set(found["hashes"].get(name, ()))
        write_json(_path(home), {**found, "hashes": {**found["hashes"], name: sorted(hashes)}})


def _read(home: Home) -> dict[str, Any]:
    path = _path(home)
    if not path.exists():
        return {"salt": secrets.token_hex(32), "hashes": {}}
    found = read_json(path)
    if not isinstance(found, dict) or set(found) != {"salt", "hashes"}:
        raise StorageError(f"{path}: expected the list of those who are to be forgotten; bring it back from a copy.")
    return found


def _path(home: Home) -> Any:
    return home.root / "forgotten.json"


def _hash(one: str, salt: str) -> str:
    return hmac.digest(bytes.fromhex(salt), one.encode(), "sha256").hex()
