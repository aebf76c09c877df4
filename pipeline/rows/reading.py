"""Columns of a request, read as the tables of a scenario are."""

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from pipeline.config import MappedColumn, Reading
from pipeline.data.pictures import Pictures
from pipeline.data.tables import Type
from pipeline.data.values.casting import EXACT_FLOATS, Place, cast


def read_as(
    values: "pd.Series[Any]", kind: Type, name: str, reading: Reading, pictures: Pictures | None = None
) -> "pd.Series[Any]":
    """A column [n] of a request in the canonical type.

    Raises:
        DataError: a value is not of that type; the message names column and row.
    """
    own = values.array  # PyArrow asks a column of times with a zone in a way that pandas gives up
    try:
        plain = own if hasattr(own, "__arrow_array__") else values.to_numpy()
        found = pa.nulls(len(values)) if values.isna().all() else pa.array(plain, from_pandas=True)
        given = pa.chunked_array([found])
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):  # of several types, as JSON may have them, or too large
        given = pa.chunked_array([pa.array([_spelt(one) for one in values], pa.string())])
    how = MappedColumn(timezone=reading.timezones.get(name, "UTC"))
    place = Place("request", name, how=how, null=reading.null, pictures=pictures, asked=True)
    read: pd.Series[Any] = cast(given, kind, place).to_pandas()
    return read.rename(name)


def _spelt(value: Any) -> str | None:
    """One value of a column of several types, spelt as in a column of its own type; None where there is none."""
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, bool | np.bool_):
        return str(value).lower()
    if isinstance(value, float | np.floating):
        whole = float(value).is_integer() and abs(float(value)) <= EXACT_FLOATS
        return None if np.isnan(value) else str(int(value)) if whole else str(value)
    return str(value)
