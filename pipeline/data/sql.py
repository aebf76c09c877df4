"""The result of a query into a canonical table; passwords never appear in a message."""

import os
import re
from pathlib import Path

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.engine import URL

from pipeline.config import SqlTable
from pipeline.data.files import inside
from pipeline.data.mapping import Mapper
from pipeline.errors import ConfigError, DataError

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def read_query(spec: SqlTable, root: Path, mapper: Mapper) -> pa.Table:
    """The canonical table of a query's result; nothing that the query changes is kept.

    Args:
        spec: URL and query; `${NAME}` in the URL stands for an environment variable.
        root: The data folder; a file of SQLite lies below it.
        mapper: Which columns are read, and what they mean.

    Raises:
        ConfigError: a variable in the URL is not set.
        DataError: the database cannot be reached, the query fails, or its result does not fit the scenario.
    """
    secrets = [_value(name) for name in _VARIABLE.findall(spec.url)]
    url = _parsed(_VARIABLE.sub(lambda match: _value(match[1]), spec.url), root)
    secrets += [str(url.password or ""), *(str(value) for value in url.query.values())]
    shown = f"SQL ({url.drivername})"
    try:
        engine = sa.create_engine(url, poolclass=sa.NullPool)
        with engine.connect() as connection:
            # without parameters a percent sign or a colon in the query is only text, for every driver
            result = connection.exec_driver_sql(spec.query, execution_options={"no_parameters": True})
            if not result.returns_rows:
                raise DataError(f"{shown}: the query gives no table; expected a SELECT.")
            names, rows = list(result.keys()), result.fetchall()
    except ImportError as error:
        raise DataError(f"{shown}: the driver is not installed ({error.name}); install it beside Crosslift.") from None
    except sa.exc.SQLAlchemyError as error:
        reason = str(getattr(error, "orig", None) or error)
        raise DataError(f"{shown}: the query failed ({_without(secrets, reason)}).") from None
    if not rows:
        raise DataError(f"{shown}: the query gives no rows.")
    wanted = set(mapper.choose(names, shown).values())
    columns = dict(zip(names, zip(*rows, strict=True), strict=True))
    return mapper.canonical(pa.table({name: _column(columns[name], name, shown) for name in sorted(wanted)}), shown)


def _value(name: str) -> str:
    if name not in os.environ:
        raise ConfigError(f"tables: the URL names ${{{name}}}, but the environment variable {name} is not set.")
    return os.environ[name]


def _parsed(text: str, root: Path) -> URL:
    """The URL; a relative file of SQLite lies below the data folder."""
    try:
        url = sa.make_url(text)
    except (sa.exc.ArgumentError, ValueError):
        raise DataError(
            "tables: url: expected a SQLAlchemy URL such as postgresql+psycopg2://reader:${SHOP_PASSWORD}@host/shop, "
            "or ${SHOP_URL} for a whole one; characters such as @ or / in a password are written %40 or %2F."
        ) from None
    if url.get_backend_name() != "sqlite":
        return url
    path = inside(root, url.database or "")
    if not path.is_file():  # SQLite would make an empty database
        raise DataError(f"{url.database or ':memory:'}: there is no such SQLite file below {root}; check the URL.")
    return url.set(database=str(path))


def _column(values: tuple[object, ...], name: str, shown: str) -> pa.ChunkedArray:
    try:
        return pa.chunked_array([pa.array(values)])
    except (pa.ArrowException, OverflowError, UnicodeError):
        raise DataError(
            f"{shown}: column {name!r}: expected values of one plain type; cast it in the query, for example "
            f"`CAST({name} AS TEXT) AS {name}`."
        ) from None


def _without(secrets: list[str], text: str) -> str:
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, "***")
    return text
