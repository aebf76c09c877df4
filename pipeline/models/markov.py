"""What came after what a user did last.

Shapes: n rows (users), I_t target items, I all items of the stacked domains, T events.
"""

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from pipeline.models.ranker import Arrays, Ranker, Scores
from pipeline.models.stack import Stack, pack, unpack
from pipeline.past import Past, Timeline, refuse_without_order

if TYPE_CHECKING:
    from pipeline.past import Histories

_SMALLEST = 0.01  # what an event this much weaker than the last one says is not looked at
_ANYBODY = 0.01  # what popularity counts beside it: it decides among what never came after


class MarkovRanker(Ranker):
    """A Markov chain over items whose memory fades.

    s_j = sum_d decay^d w_{e_d} P(j | e_d) + a p_j, with e_0 the last event, e_1 the one before it, ... of the domains
    that stand side by side in time order; P(j | i) is how often j came g events after i, times decay^(g - 1), as a
    share of all that came after i, and p_j how popular j is.
    """

    kind = "markov"

    def __init__(self, stack: Stack, follows: sparse.csr_matrix, counts: NDArray[np.float32], decay: float) -> None:
        """`follows` [I, I_t] is P, `counts` [I_t] how often each target item was taken."""
        self.stack, self.follows, self.counts, self.decay = stack, follows, counts, decay
        self._anybody = np.float32(_ANYBODY) * counts / max(float(counts.sum()), 1.0)

    @classmethod
    def fit(cls, histories: "Histories", stack: Stack, *, decay: float) -> Self:
        """Count what came after what.

        Raises:
            DataError: rows have no order.
        """
        past = Past.over(histories)
        refuse_without_order(past, "baseline markov")
        line = past.in_order(stack.names)
        columns, owner = _columns(stack, line), np.repeat(np.arange(len(line.starts) - 1), np.diff(line.starts))
        total = sparse.csr_matrix((stack.width, stack.targets), dtype=np.float32)
        for gap, said in enumerate(_fading(decay), start=1):
            pairs = (owner[gap:] == owner[:-gap]) & (line.domains[gap:] == 0)
            before, after = columns[:-gap][pairs], columns[gap:][pairs]
            values = (said * line.weights[gap:][pairs]).astype(np.float32)
            total = total + sparse.csr_matrix((values, (before, after)), shape=total.shape)
        sums = np.asarray(total.sum(axis=1)).ravel()
        shares = sparse.diags(np.divide(1, sums, out=np.zeros_like(sums), where=sums > 0))
        taken = stack.matrix(histories)[:, : stack.targets]
        counts = np.asarray(taken.sum(axis=0), dtype=np.float32).ravel()
        return cls(stack, sparse.csr_matrix(shares @ total, dtype=np.float32), counts, decay)

    def scores(self, histories: "Histories") -> Scores:
        """What came after the last events, and a little popularity."""
        line = Past.over(histories).in_order(self.stack.names)
        ends = line.starts[1:]
        rows = np.repeat(np.arange(len(ends)), np.diff(line.starts))
        back = ends[rows] - 1 - np.arange(len(rows))
        said, weights = _fading(self.decay), np.asarray(self.stack.weights)
        seen = back < len(said)
        values = (said[back[seen]] * weights[line.domains[seen]]).astype(np.float32)
        places = rows[seen], _columns(self.stack, line)[seen]
        last = sparse.csr_matrix((values, places), shape=(len(ends), self.stack.width))
        return np.asarray((last @ self.follows).toarray() + self._anybody, dtype=np.float32)

    def state(self) -> tuple[dict[str, Any], Arrays]:
        """The shares, and the popularity."""
        stack, arrays = self.stack.state()
        settings = {"stack": stack, "decay": self.decay}
        return settings, {**arrays, **pack("follows", self.follows), "counts": self.counts}

    @classmethod
    def from_state(cls, settings: dict[str, Any], arrays: Arrays) -> Self:
        """From the shares."""
        stack = Stack.from_state(settings["stack"], arrays)
        return cls(stack, unpack("follows", arrays), arrays["counts"], settings["decay"])


def _columns(stack: Stack, line: Timeline) -> NDArray[np.int64]:
    """The column of each event's item among those of all stacked domains: [T]."""
    sizes = [len(columns) for columns in stack.columns]
    first = np.cumsum(sizes) - sizes
    every: NDArray[np.int64] = np.concatenate(stack.columns)[first[line.domains] + line.items]
    return every


def _fading(decay: float) -> NDArray[np.float64]:
    """1, decay, decay^2, ... as far as it is looked at."""
    powers = decay ** np.arange(1 + int(np.log(_SMALLEST) / np.log(decay)))
    return np.asarray(powers)
