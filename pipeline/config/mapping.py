"""How the columns of a user's table become the canonical ones."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, model_validator

from pipeline.config.base import Config, Name

Unit = Literal["s", "ms", "us", "ns", "excel", "excel_1904"]
Alike = Literal["zeros", "decimals", "case", "blanks"]


def _zone(name: str) -> str:
    """Refuse what is no time zone."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("expected a time zone such as Europe/Berlin or UTC") from None
    return name


def _strptime(form: str) -> str:
    """Refuse what Python cannot read a time by."""
    try:
        datetime.strptime(datetime(2024, 11, 30, tzinfo=UTC).strftime(form), form)  # noqa: DTZ007  only tried
    except ValueError as error:
        raise ValueError(f'expected a format of strptime such as "%d.%m.%Y %H:%M" ({error})') from None
    if "%" not in form:
        raise ValueError('expected a format of strptime such as "%d.%m.%Y %H:%M"')
    return form


class MappedColumn(Config):
    """Which column of the file it is, and how it is read where the values do not say it themselves.

    `unit`, `format` and `timezone` are for times, `trim` and `alike` for ids.
    """

    column: str = ""  # name in the file; empty: the canonical name
    unit: Unit | None = None  # of numbers since 1970, or of days as workbooks count them; None: by their size
    format: Annotated[str, AfterValidator(_strptime)] | None = None  # of texts, or of numbers such as 20240131
    timezone: Annotated[str, AfterValidator(_zone)] = "UTC"  # of times that do not say one
    trim: bool = True  # blanks around an id are no part of it
    alike: tuple[Alike, ...] = ()  # spellings of one id, in all tables: 007 and 7, 12.0 and 12, Ab and aB, "1 2" and 12

    @model_validator(mode="after")
    def _has_one_reading(self) -> Self:
        if self.unit and self.format:
            raise ValueError("expected unit (of numbers) or format (dates), not both")
        return self


def _named(given: Any) -> Any:
    """The name alone stands for a column without more to say."""
    return {"column": given} if isinstance(given, str) else given


class MappedTable(Config):
    """How the columns of a table become the canonical ones."""

    # canonical name -> name in the file, or more about the column; one of the same name needs no entry
    columns: dict[str, Annotated[MappedColumn, BeforeValidator(_named, json_schema_input_type=str | MappedColumn)]] = {}
    constants: dict[str, str] = {}  # canonical name -> one value for all rows, such as the domain of a file
    domains: dict[Name, str] = {}  # domain of the scenario -> what the column `domain` says for it, where it differs
    null: tuple[str, ...] | None = None  # texts that mean no value, in each column; None: those of ids that are known

    @model_validator(mode="before")
    @classmethod
    def _says_null(cls, given: Any) -> Any:
        """In YAML `null` without quotes is no text, also where it is a key."""
        if isinstance(given, dict) and None in given:
            return {"null" if key is None else key: value for key, value in given.items()}
        return given

    @property
    def mapping(self) -> dict[str, Any]:
        """What decides how values are read, as JSON values."""
        return self.model_dump(mode="json", include={"columns", "constants", "domains", "null"})


class Reading(BaseModel):
    """What a scenario says of reading values, beside what they say themselves; gathered, and written by nobody."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    timezones: dict[str, str] = {}  # canonical column -> the zone of times that name none, where it is not UTC
    null: tuple[str, ...] | None = None  # texts that mean no value; None: nothing was said
