"""Where the rows come from and how they are split."""

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, Discriminator, Field, Tag, model_validator

from pipeline import columns as c
from pipeline.config.base import Config, Draw, Name, Share
from pipeline.config.files import FileSource, refuse_secrets
from pipeline.config.mapping import Alike, MappedColumn, MappedTable, Reading


class FileTable(MappedTable, FileSource):
    """Rows from files as they are: CSV, Parquet, JSON or Excel, also packed, below the data folder or in a store."""

    @model_validator(mode="before")
    @classmethod
    def _has_no_query(cls, given: Any) -> Any:
        if isinstance(given, dict) and "query" in given:
            raise ValueError("a query stands beside `files`, which it reads, or beside the `url` of a database")
        return given


class QueryTable(MappedTable):
    """Rows that one SELECT makes of files: joined, filtered, derived."""

    files: dict[Name, FileSource] = Field(min_length=1)  # name in the query -> what it stands for
    query: str

    @model_validator(mode="after")
    def _says_what_is_a_number(self) -> Self:
        if commas := [name for name, source in self.files.items() if source.decimal == ","]:
            raise ValueError(
                f"files.{commas[0]}: decimal: nothing says which columns of a query's files are numbers; write "
                "replace(price, ',', '.')::DOUBLE in the query"
            )
        return self


class SqlTable(MappedTable):
    """Rows of a query; `${NAME}` in the URL is replaced by that environment variable, so that no secret is stored."""

    url: str
    query: str

    @model_validator(mode="after")
    def _has_no_secret(self) -> Self:
        """A scenario is read and copied by many: a password in it would be, too."""
        remedy = "write ${SHOP_PASSWORD} in its place, a name that you choose, and give the password in that "
        refuse_secrets("url", self.url, remedy + "environment variable")
        return self


def _kind(value: Any) -> str:
    keys = value if isinstance(value, dict) else vars(value) if isinstance(value, Config) else ()
    if "files" in keys:
        return "QueryTable"
    return "SqlTable" if "url" in keys or ("query" in keys and "path" not in keys) else "FileTable"


# Which of them is meant is seen by its keys, so that a mistake in one is not told as mistakes in all.
Table = Annotated[
    Annotated[FileTable, Tag("FileTable")]
    | Annotated[SqlTable, Tag("SqlTable")]
    | Annotated[QueryTable, Tag("QueryTable")],
    Discriminator(_kind),
]


def _two_or_none(folds: int) -> int:
    if folds == 1:
        raise ValueError("expected 0 or at least 2: of one fold nothing would be left to learn from")
    return folds


class Tables(Config):
    """The tables of a scenario; several sources of one kind are put under each other."""

    interactions: tuple[Table, ...] = ()
    items: tuple[Table, ...] = ()
    examples: tuple[Table, ...] = ()

    @property
    def named(self) -> dict[str, tuple[Table, ...]]:
        """The tables by kind, of those kinds that there are."""
        every = {kind: getattr(self, kind) for kind in type(self).model_fields}
        return {kind: tables for kind, tables in every.items() if tables}

    @property
    def events(self) -> tuple[str, ...]:
        """The events that rows are known to have before a table is read."""
        return tuple(one.constants[c.EVENT] for one in self.interactions if c.EVENT in one.constants)

    @property
    def alike(self) -> dict[str, tuple[Alike, ...]]:
        """Which spellings are one id, by canonical column: what one table says holds in all, or ids would not meet."""
        found: dict[str, set[Alike]] = {}
        for name, how in (pair for specs in self.named.values() for spec in specs for pair in spec.columns.items()):
            found.setdefault(name, set()).update(how.alike)
        return {name: tuple(sorted(ways)) for name, ways in sorted(found.items()) if ways}

    def read_of(self, target: str) -> Reading:
        """How values of examples of the target are read, as far as all tables that may hold rows of it say the same."""
        found = []
        for one in self.examples:
            named = {told: name for name, told in one.domains.items()}
            told = one.constants.get(c.DOMAIN, target)
            if named.get(told, told) == target:
                found.append(one)
        zones = {name: {one.columns.get(name, MappedColumn()).timezone for one in found}
                 for name in sorted({name for one in found for name in one.columns})}  # fmt: skip
        nulls = {one.null for one in found}
        return Reading(
            timezones={name: zone for name, [zone, *others] in zones.items() if not others and zone != "UTC"},
            null=nulls.pop() if len(nulls) == 1 else None,
        )

    @model_validator(mode="before")
    @classmethod
    def _are_known(cls, given: Any) -> Any:
        """Name the kinds that there are: nobody can guess them from a near miss."""
        unknown = [str(name) for name in given if name not in cls.model_fields] if isinstance(given, dict) else []
        if unknown:
            raise ValueError(f"expected tables called {' or '.join(cls.model_fields)}, got {', '.join(unknown)}")
        return given


class Embedded(Config):
    """The built-in generator: two shops whose customers share tastes, or one shop on two devices."""

    tables: ClassVar[frozenset[str]] = frozenset({"interactions", "items"})  # that it makes
    events: ClassVar[tuple[str, ...]] = ("view", "cart", "purchase")  # that its rows have

    variant: Literal["shops", "devices"] = "shops"
    related: bool = True  # False: the source's tastes say nothing about the target's, so that transfer must not help
    opened: bool = True  # False: nothing happened at the target yet, which stands in the table of items alone
    users: int = Field(default=3000, ge=20, le=1_000_000)
    items: int = Field(default=1200, ge=20, le=1_000_000)  # in each shop
    overlap: Share = 0.7  # share of the target's users who are also in the source
    seed: int = 7


# Of examples: where few rows are held out for validation, training rows choose with them, in so many parts; 0: never
Folds = Annotated[int, Field(ge=0, le=20), AfterValidator(_two_or_none)]


class SplitConfig(Config):
    """What the steps ask of every split."""

    needs_sources: ClassVar[bool] = False  # it looks at who is known in the sources
    needs_time: ClassVar[bool] = False  # a row without a time has no place in it
    cold: ClassVar[bool] = False  # the test holds what no training row has
    asks: ClassVar[str]  # what must be there, or a part stays empty

    @property
    def drawn(self) -> int | None:
        """Which of many ways to divide the same rows it is; None where there is one only."""
        return None

    def for_sources(self) -> Self:
        """What of it decides about a source's rows."""
        return self


class ShippedSplit(SplitConfig):
    """The split that the data set ships, in the column `split`; rows with other values are left out."""

    asks: ClassVar[str] = "rows whose column `split` says what the scenario names under train, valid and test"

    kind: Literal["shipped"]
    train: tuple[str, ...] = ("train",)
    valid: tuple[str, ...] = ()  # empty: one training row of each user with four or more, chosen by a hash
    test: tuple[str, ...] = ("test",)
    folds: Folds = 0


class TimeSplit(SplitConfig):
    """Train before validation before test, over all users at once; the shares are of the target's rows."""

    needs_time: ClassVar[bool] = True
    asks: ClassVar[str] = (
        "rows at different times, enough for the shares, and rows of the sources from before them: those of one "
        "instant are never divided"
    )

    kind: Literal["time"]
    valid: Share = 0.1
    test: Share = 0.1

    def for_sources(self) -> Self:
        """What of it decides about a source's rows: not the shares, which are of the target's."""
        return type(self)(kind=self.kind)


class LeaveLastOutSplit(SplitConfig):
    """Each user's last order of the target is for the test and the last but one for validation.

    An order is the rows with one `order_id`, else of one time or position.
    """

    asks: ClassVar[str] = "users with rows at two different times or in two orders, and at three for validation"

    kind: Literal["leave_last_out"]


class ColdUsersSplit(SplitConfig):
    """Users of the target whom a source knows, divided by a hash: of those who test or choose no row trains.

    The shares are of these users. Some choose and others test, so that both meet a model that never saw them.
    """

    needs_sources: ClassVar[bool] = True
    cold: ClassVar[bool] = True
    asks: ClassVar[str] = "users of the target whom a source knows, and others, enough for the shares"

    kind: Literal["cold_users"]
    valid: Share = 0.1
    test: Share = 0.1

    def for_sources(self) -> Self:
        """What of it decides about a source's rows: not the shares, which are of the target's."""
        return type(self)(kind=self.kind)


class HashSplit(SplitConfig):
    """Divided by a hash: components of examples, each class by the shares; or the rows of each user by the shares.

    It knows no time: where interactions have one, the audit marks rows that have a later one in training.
    """

    asks: ClassVar[str] = "users with four rows or more, or enough labelled rows"

    kind: Literal["hash"]
    valid: Share = 0.2
    test: Share = 0.2
    draw: Draw = 0  # another number divides them anew
    folds: Folds = 5

    @property
    def drawn(self) -> int | None:
        """The draw."""
        return self.draw

    def for_sources(self) -> Self:
        """What of it decides about a source's rows: not the test's share, nor the draw, which are the target's."""
        return type(self)(kind=self.kind)


Split = Annotated[
    ShippedSplit | TimeSplit | LeaveLastOutSplit | ColdUsersSplit | HashSplit, Field(discriminator="kind")
]
