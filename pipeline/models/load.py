"""From a saved folder back to a predictor."""

from collections.abc import Callable
from pathlib import Path

from pipeline.models.anomaly import AutoEncoderEstimator, IsolationEstimator
from pipeline.models.blends import LaneBlendRanker
from pipeline.models.boosting import BoostingEstimator
from pipeline.models.content import ContentKnnRanker
from pipeline.models.ease import EaseRanker
from pipeline.models.estimators import ConstantEstimator
from pipeline.models.factors import BlendRanker, IalsRanker
from pipeline.models.frequency import FrequencyEstimator
from pipeline.models.linear import LinearEstimator
from pipeline.models.markov import MarkovRanker
from pipeline.models.msda import MsdaEstimator
from pipeline.models.neighbours import ItemKnnRanker, PopularityRanker, UserKnnRanker
from pipeline.models.ranker import Saved, read_saved
from pipeline.models.several import SeveralEstimator


def _network() -> type[Saved]:
    from pipeline.models.network_ranker import NetworkRanker  # loads torch, which a baseline does without

    return NetworkRanker


def _tabular() -> type[Saved]:
    from pipeline.models.tabular_estimator import TabularEstimator

    return TabularEstimator


FILES = ("ranker.json", "weights.safetensors")  # what a predictor writes

# kind -> its class
RANKERS: dict[str, Callable[[], type[Saved]]] = {
    "popularity": lambda: PopularityRanker,
    "item_knn": lambda: ItemKnnRanker,
    "user_knn": lambda: UserKnnRanker,
    "ials": lambda: IalsRanker,
    "ease": lambda: EaseRanker,
    "markov": lambda: MarkovRanker,
    "content_knn": lambda: ContentKnnRanker,
    "ials_knn": lambda: BlendRanker,
    "lane_blend": lambda: LaneBlendRanker,
    "network": _network,
    "tabular": _tabular,
    "constant": lambda: ConstantEstimator,
    "frequency": lambda: FrequencyEstimator,
    "linear": lambda: LinearEstimator,
    "boosting": lambda: BoostingEstimator,
    "isolation_forest": lambda: IsolationEstimator,
    "auto_encoder": lambda: AutoEncoderEstimator,
    "msda": lambda: MsdaEstimator,
    "several": lambda: SeveralEstimator,
}


def load_ranker(folder: Path) -> Saved:
    """The predictor that was saved in a folder; nothing is unpickled.

    Raises:
        StorageError: a file is missing or damaged, or the kind is not known.
    """
    return read_saved(folder, RANKERS)
