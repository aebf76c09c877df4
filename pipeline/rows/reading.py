"""Columns of a request, read as the tables of a scenario are."""

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

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
        given = pa.chunked_array([_joined(found)])
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):  # of several types, as JSON may have them, or too large
        given = pa.chunked_array([pa.array([_spelt(one) for one in values], pa.string())])
    how = MappedColumn(timezone=reading.timezones.get(name, "UTC"))
    place = Place("request", name, how=how, null=reading.null, pictures=pictures, asked=True)
    read: pd.Series[Any] = cast(given, kind, place).to_pandas()
    return read.rename(name)


def _joined(values: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Lists as texts with a blank between their values, as tables are read; other values stay."""
    values = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    if not (pa.types.is_list(values.type) or pa.types.is_large_list(values.type)):
        return values
    whole = values.cast(pa.large_list(pa.string()))
    told = pc.fill_null(whole.values, "")  # a value that is missing in a list is none of its values
    lists = pa.LargeListArray.from_arrays(whole.offsets, told, mask=whole.is_null())
    return pc.binary_join(lists, " ")


def _spelt(value: Any) -> str | None:
    """One value of a column of several types, spelt as in a column of its own type; None where there is none."""
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, list | tuple | np.ndarray):
        return " ".join(filter(None, map(_spelt, value)))
    if isinstance(value, bool | np.bool_):
        return str(value).lower()
    if isinstance(value, float | np.floating):
        whole = float(value).is_integer() and abs(float(value)) <= EXACT_FLOATS
        return None if np.isnan(value) else str(int(value)) if whole else str(value)
    return str(value)
