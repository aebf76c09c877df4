"""How people are told of items that were ranked; apart from the metrics, which load pandas."""

from pipeline.labels.words import Words

ITEMS = Words(
    metrics={"ndcg": "NDCG", "recall": "recall", "hit_rate": "hit rate", "mrr": "MRR"},
    less=frozenset(),
    units="users",
    percent=True,
    digits=2,
    chance="a scorer that says the same for all items",
    protocol=(
        "Every item of the catalogue is ranked for each test user; items that the user already took are left out, ties "
        "count half."
    ),
)
