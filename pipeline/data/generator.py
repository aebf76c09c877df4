"""The embedded data: two shops whose customers share tastes, or one shop on two devices, as ordinary Parquet.

A user is a mixture of tastes, an item has one taste and a popularity, and a row is "draw a taste of the user, then an
item of that taste by popularity". Titles carry words of the item's taste, which both shops use: they are the bridge.
Shapes: U users and I items of one domain, K tastes, N rows.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pipeline import columns as c
from pipeline.config import Embedded
from pipeline.data.tables import ARROW_TYPES, INTERACTIONS, ITEMS, TableKind

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Words = NDArray[np.str_]

START = np.datetime64("2025-03-01", "us")  # fixed: nothing here reads the clock
DAYS = 60
LATE = 0.84  # share of the days after which late users come; the last fifth is what a split by time holds out

# One line a taste; both shops describe their goods with these words.
TASTE_WORDS: Words = np.array(
    [
        line.split()
        for line in (
            "rustic farmhouse oak homely", "neon disco glitter party", "nordic minimal birch plain",
            "tropical mango palm sunny", "royal velvet golden noble", "zen bamboo calm stone",
            "spicy chili ember fiery", "pastel blossom candy dreamy", "nautical coral harbour breeze",
            "gothic raven midnight smoky", "alpine cedar frosty ridge", "citrus lemon zesty bright",
            "vintage sepia antique lace", "safari amber savanna dusty", "cosmic nebula silver lunar",
            "herbal sage meadow mint", "urban concrete steel loft", "fairy elfin moss woodland",
            "carnival ruby joyful festive", "monsoon indigo misty rain", "desert cactus terracotta mesa",
            "honey maple cosy autumn", "arctic polar crystal icy", "baroque marble ornate opera",
        )
    ]
)  # fmt: skip
PLAIN_WORDS: Words = np.array(["new", "classic", "set", "mini", "large", "deluxe", "gift", "daily", "family", "choice"])
SOURCE_CATEGORIES: Words = np.array(["Bakery", "Cheese", "Coffee", "Fruit", "Noodles", "Pantry", "Snacks", "Tea"])
TARGET_CATEGORIES: Words = np.array(["Bouquets", "Bulbs", "Ferns", "Garlands", "Orchids", "Planters", "Roses", "Vases"])
EVENTS: Words = np.array(Embedded.events)


@dataclass(frozen=True)
class Habits:
    """How people behave in one domain."""

    rows: float  # mean rows of a user, before an item drawn twice is taken out
    zipf: float  # exponent of the items' popularity
    stray: float  # share of rows that follow popularity instead of taste
    late_users: float  # share of users whose first row comes in the last days


RICH = Habits(rows=34.0, zipf=0.6, stray=0.05, late_users=0.05)
POOR = Habits(rows=5.5, zipf=0.6, stray=0.05, late_users=0.2)
PC = Habits(rows=22.0, zipf=0.5, stray=0.05, late_users=0.05)
MOBILE = Habits(rows=5.5, zipf=0.7, stray=0.1, late_users=0.2)  # fewer rows, on more popular and cheaper items


@dataclass(frozen=True)
class Goods:
    """The items of one shop: taste [I] in 0..K-1, rank of popularity [I] in 1..I, day of launch [I], and the table."""

    taste: Ints
    rank: Ints
    launch: Floats
    table: pd.DataFrame


def generate(config: Embedded, source: str, target: str, folder: Path) -> None:
    """Write `interactions.parquet` and `items.parquet` with both domains in canonical columns.

    Equal settings give equal bytes, and the target's rows do not depend on `related`. In the variant `devices` all
    users and items are in both domains, so `overlap` plays no part. A target that has not opened has no rows, while the
    source's and all items are the same.

    Args:
        config: Sizes, variant, relation and seed.
        source: Name of the rich domain.
        target: Name of the poor domain.
        folder: Where to write; made if it is missing.
    """
    devices = config.variant == "devices"
    pool = config.users + config.users // 2  # the target's users, then those of the source alone
    shared = config.users if devices else round(config.overlap * config.users)
    source_users = np.concatenate([np.arange(shared), np.arange(config.users, config.users if devices else pool)])
    likes = _likes(config, "tastes", pool)
    source_likes = likes if config.related else _likes(config, "other tastes", pool)

    target_goods = _goods(config, "target", "item" if devices else target, TARGET_CATEGORIES)
    if devices:
        source_goods = target_goods if config.related else _with_other_tastes(config, target_goods)
    else:
        source_goods = _goods(config, "source", source, SOURCE_CATEGORIES)
    target_users = np.arange(config.users)
    habits = (PC, MOBILE) if devices else (RICH, POOR)
    rows = [
        _rows(_random(config, "source rows"), source_users, source_likes[source_users], source_goods, habits[0]),
        _rows(_random(config, "target rows"), target_users, likes[target_users], target_goods, habits[1]),
    ]

    folder.mkdir(parents=True, exist_ok=True)
    happened = zip(rows, (source, target), strict=True) if config.opened else [(rows[0], source)]
    interactions = pd.concat([part.assign(**{c.DOMAIN: name}) for part, name in happened])
    _write(interactions.sort_values([c.TIMESTAMP, c.USER, c.ITEM, c.DOMAIN]), INTERACTIONS, folder)
    goods = ((source_goods, source), (target_goods, target))
    _write(pd.concat([part.table.assign(**{c.DOMAIN: name}) for part, name in goods]), ITEMS, folder)


def _random(config: Embedded, what: str) -> np.random.Generator:
    """A stream of its own for each thing drawn, so that changing one leaves the others as they are."""
    return np.random.default_rng([config.seed, *what.encode()])


def _likes(config: Embedded, what: str, users: int) -> Floats:
    """Mixtures of tastes [U, K]: most people have two or three."""
    return _random(config, what).dirichlet(np.full(len(TASTE_WORDS), 0.05), users)


def _goods(config: Embedded, role: str, prefix: str, categories: Words) -> Goods:
    random, count = _random(config, f"{role} goods"), config.items
    taste = random.integers(len(TASTE_WORDS), size=count)
    words = TASTE_WORDS
    if role == "source" and not config.related:
        # One by one: words moved by whole tastes would still say truly which items belong together.
        words = _random(config, "other words").permutation(words.ravel()).reshape(words.shape)
    category = random.choice(categories, count)
    table = pd.DataFrame(
        {
            c.ITEM: _ids(f"{prefix}-", np.arange(count)),
            c.TITLE: _titles(random, words, taste, category),
            c.CATEGORY: category,
            c.BRAND: _ids("brand ", random.integers(40, size=count)),
            c.PRICE: np.round(np.exp(random.normal(2.5, 0.7, count)).clip(1.0, 200.0), 2),
        }
    )
    late = random.random(count) < 0.08
    launch = np.where(late, random.uniform(0.7, 0.97, count) * DAYS, 0.0)
    return Goods(taste, random.permutation(count) + 1, launch, table)


def _with_other_tastes(config: Embedded, goods: Goods) -> Goods:
    """The same items and titles, liked by other people: an unrelated device."""
    return Goods(_random(config, "other goods").permutation(goods.taste), goods.rank, goods.launch, goods.table)


def _titles(random: np.random.Generator, words: Words, taste: Ints, category: Words) -> pd.Series:
    """Two words of the taste (one in eight strays to another), a plain one, and what it is: "Oak rustic mini Tea"."""
    count = len(taste)
    strays = random.random((count, 2)) < 0.125
    row = np.where(strays, random.integers(len(words), size=(count, 2)), taste[:, None])
    place = random.integers(words.shape[1], size=count)
    other = (place + random.integers(1, words.shape[1], size=count)) % words.shape[1]
    first, second = (pd.Series(words[row[:, k], column]) for k, column in enumerate((place, other)))
    plain = pd.Series(random.choice(PLAIN_WORDS, count))
    titles: pd.Series = first.str.capitalize() + " " + second + " " + plain + " " + pd.Series(category)
    return titles


def _rows(random: np.random.Generator, users: Ints, likes: Floats, goods: Goods, habits: Habits) -> pd.DataFrame:
    """What users [U] with mixtures `likes` [U, K] do: one row for each user and item."""
    activity = random.gamma(2.0, 0.5, len(users))  # mean 1: some people do much
    who = np.repeat(np.arange(len(users)), 1 + random.poisson((habits.rows - 1) * activity))
    item = _draw_items(random, who, likes, goods, habits)
    is_late = random.random(len(users)) < habits.late_users
    early_day, late_day = random.beta(1.0, 2.5, len(users)) * LATE, random.uniform(LATE, 0.98, len(users))
    first_day = np.where(is_late, late_day, early_day) * DAYS
    day = first_day[who] + (DAYS - first_day[who]) * random.random(len(who)) ** 0.7  # later days are fuller
    event = np.searchsorted([0.7, 0.88], random.random(len(who)), side="right")
    price = goods.table[c.PRICE].to_numpy()[item]
    rows = pd.DataFrame(
        {
            c.USER: _ids("u", users[who]),
            c.ITEM: goods.table[c.ITEM].to_numpy()[item],
            c.TIMESTAMP: START + (day * 86_400).astype("timedelta64[s]"),  # UTC
            c.EVENT: EVENTS[event],
            c.VALUE: np.where(event == 2, price, 0.0),  # what was paid
        }
    )
    return rows[day >= goods.launch[item]].drop_duplicates([c.USER, c.ITEM])


def _draw_items(random: np.random.Generator, who: Ints, likes: Floats, goods: Goods, habits: Habits) -> Ints:
    """An item for each row [N]: a taste of the user by inverse distribution, then by popularity within the taste."""
    tastes = likes.shape[1]
    taste = (likes.cumsum(axis=1)[who] < random.random(len(who))[:, None]).sum(axis=1).clip(max=tastes - 1)
    popularity = goods.rank**-habits.zipf
    if habits is MOBILE:
        popularity = popularity / np.sqrt(goods.table[c.PRICE].to_numpy())  # small things are bought on the way
    order = np.argsort(goods.taste, kind="stable")
    upto = np.concatenate([[0.0], popularity[order].cumsum()])
    edges = np.searchsorted(goods.taste[order], np.arange(tastes + 1))
    strays = random.random(len(who)) < habits.stray
    strays |= edges[taste] == edges[taste + 1]  # a taste without any item, in a tiny shop
    low = np.where(strays, 0.0, upto[edges[taste]])
    high = np.where(strays, upto[-1], upto[edges[taste + 1]])
    place = np.searchsorted(upto, low + (high - low) * random.random(len(who)), side="right") - 1
    drawn: Ints = order[place.clip(0, len(order) - 1)]
    return drawn


def _ids(prefix: str, numbers: Ints) -> pd.Series:
    return prefix + pd.Series(numbers).astype(str).str.zfill(5)


def _write(table: pd.DataFrame, kind: TableKind, folder: Path) -> None:
    """Parquet with settings of our own, so that the bytes do not hang on a library's defaults."""
    types = {column.name: ARROW_TYPES[column.type] for column in kind.columns if column.name in table.columns}
    arrow = pa.table({name: pa.array(table[name].to_numpy()).cast(wanted) for name, wanted in types.items()})
    path = folder / f"{kind.name}.parquet"
    pq.write_table(arrow, path, compression="zstd", version="2.6", row_group_size=1 << 20)
