"""What every lane said of the test rows, as the verdict keeps it."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from pipeline.views import FloatArray

_FILE = "predictions.parquet"
_LANE, _PREDICTED = "lane", "predicted"


def write_predictions(folder: Path, rows: "pd.DataFrame", predicted: "Mapping[str, FloatArray]") -> None:
    """Write the test rows once for each lane, with what it said of each: values [N] or [N, M] by lane."""
    import pandas as pd

    tables = [rows.assign(**{_LANE: name, _PREDICTED: as_column(values)}) for name, values in predicted.items()]
    table = pd.concat(tables, ignore_index=True)
    table[_LANE] = pd.Categorical(table[_LANE], categories=list(predicted))
    table.to_parquet(folder / _FILE, index=False, compression="zstd")


def read_predictions(folder: Path, lanes: Iterable[str]) -> "dict[str, FloatArray]":
    """What these lanes said, in the order of the rows: [N] or [N, M]."""
    import numpy as np
    import pandas as pd

    table, found = pd.read_parquet(folder / _FILE), {}
    for lane in lanes:
        values = table.loc[table[_LANE] == lane, _PREDICTED].to_numpy()
        found[lane] = np.stack(list(values)) if len(values) and values.dtype == object else values
    return found


def as_column(values: "FloatArray") -> Any:
    """One value a row: a number, or a list of them."""
    return values if values.ndim == 1 else list(values)
