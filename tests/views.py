"""Views of matrices that tests make by hand."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from scipy import sparse

from pipeline.past import Histories, Past
from pipeline.views import PAST, ROW, UNIT, ItemLabel, View


def labelled_view(domain: str, histories: Histories, ids: Sequence[object] | None = None) -> View:
    """Every entry of a domain's matrix as a row, seen through all histories; without ids no item is in two domains."""
    own = sparse.csr_matrix(histories[domain])
    pairs = own.tocoo()
    rows = pd.DataFrame({ROW: np.arange(pairs.nnz), UNIT: pairs.row.astype(np.int64)})
    names = [f"{domain}{place}" for place in range(own.shape[1])] if ids is None else [str(one) for one in ids]
    items = pd.DataFrame({"item_id": names})
    return View(domain, rows, {PAST: Past.over(histories)}, (ItemLabel(pairs.col.astype(np.int64), items, own),))


def labelled_views(histories: Histories, ids: Mapping[str, Sequence[object]] | None = None) -> dict[str, View]:
    """The same of all domains."""
    return {name: labelled_view(name, histories, (ids or {}).get(name)) for name in histories}


def titled(views: dict[str, View]) -> dict[str, View]:
    """Items whose title says their kind, and which domain they are of."""
    titles = {name: [f"kind{place % 3} {name}" for place in range(len(one.label.catalogue))]
              for name, one in views.items()}  # fmt: skip
    return {
        name: replace(one, labels=(replace(one.label, catalogue=one.label.catalogue.assign(title=titles[name])),))
        for name, one in views.items()
    }
