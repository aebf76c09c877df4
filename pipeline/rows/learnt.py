"""Which rows a model has learnt from: hashes of their names, which a package carries on to whatever begins with it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pipeline import columns as c

if TYPE_CHECKING:
    from pipeline.rows.kind import Prepared
    from pipeline.views import Mask, View

LEARNT = "learnt.parquet"  # of a package, and beside the weights of a registered model that others begin with
_ROW = "row"
Hashes = NDArray[np.uint64]


@dataclass(frozen=True)
class Learnt:
    """Hashes of the names of rows by domain, each once, sorted: two shops may call their rows alike."""

    rows: Mapping[str, Hashes]

    @classmethod
    def of(cls, named: Mapping[str, pd.Index]) -> Self:
        """What is learnt from the rows of these names, by domain."""
        return cls({domain: np.unique(_hashed(names)) for domain, names in named.items()})

    def knows(self, prepared: "Prepared", view: "View") -> "Mask":
        """Which rows [N] of a view of the target are among them."""
        known: Mask = np.isin(_hashed(prepared.named(view)), self.rows.get(prepared.name, _NOTHING))
        return known

    def __or__(self, other: Self) -> Self:
        """What either has learnt from."""
        both = {*self.rows, *other.rows}
        return type(self)(
            {name: np.union1d(self.rows.get(name, _NOTHING), other.rows.get(name, _NOTHING)) for name in sorted(both)}
        )

    def write(self, folder: Path) -> None:
        """Write it into a folder; equal rows give equal bytes."""
        names, sizes = sorted(self.rows), [len(self.rows[name]) for name in sorted(self.rows)]
        domains = pa.DictionaryArray.from_arrays(
            pa.array(np.repeat(np.arange(len(names)), sizes).astype(np.int32)), pa.array(names, pa.string())
        )
        rows = pa.array(np.concatenate([_NOTHING, *(self.rows[name] for name in names)]), pa.uint64())
        pq.write_table(pa.table({c.DOMAIN: domains, _ROW: rows}), folder / LEARNT, compression="zstd")

    @classmethod
    def read(cls, folder: Path, domains: Sequence[str] = ()) -> Self:
        """Read what `write` wrote.

        Args:
            folder: Where it is.
            domains: Of the model. Older packages do not say of which a row is: it may be of any.

        Raises:
            OSError: it is not there.
            pyarrow.ArrowException: it is damaged.
        """
        table = pq.read_table(folder / LEARNT)
        rows = table[_ROW].to_numpy()
        if c.DOMAIN not in table.column_names:
            return cls(dict.fromkeys(domains, rows))
        own = table[c.DOMAIN].to_numpy()
        return cls({str(name): rows[own == name] for name in np.unique(own.astype(object))})


_NOTHING: Hashes = np.empty(0, dtype=np.uint64)
NOTHING = Learnt({})


def _hashed(names: pd.Index) -> Hashes:
    """[N] a hash of each name, of one part or of several; see `pipeline.data.tokens.stable_hash`."""
    found: Any = pd.util.hash_pandas_object(names, index=False)
    return np.asarray(found, dtype=np.uint64)
