"""Simulate 60 nights of which the truth is known, through the real gate and through rules that it might have.

    python benchmarks/nights.py [--first 1500]

Each user has a metric that is zero or a gain; what two models give one user is correlated, more so for two fits of one
recipe. A fit is as good as its recipe, with a luck of 1 %. Validation sees the truth, off by 3 %, and picks. The test
window moves by a fourteenth each night. One line for each world, size and rule, means over the
repeats. `lost` is the true metric against the best that could serve that night; nothing but the gate is Crosslift's.
With `--first`: on how many first nights of four equal lanes one of the two serves that have a source, and how.
"""

import argparse
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from pipeline.config import Gate
from pipeline.evaluation import statistics
from pipeline.evaluation.gate import decide
from pipeline.evaluation.hearing import ChampionScores, Lane
from pipeline.evaluation.statistics import Scores, resample
from pipeline.evaluation.terms import Terms
from pipeline.labels.items import ITEMS
from pipeline.labels.statistic import Means

NIGHTS, WINDOW = 60, 14  # nights; a test window holds the users of so many
ARRIVES = 20  # the night on which the better recipe joins
GATE = Gate(resamples=1000)
SHARED, OWN = 0.6, 0.3  # of the variance of a user's luck: with all models, with all fits of one recipe
GAIN = 0.6  # mean gain of a hit

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class World:
    """Recipes with their true skill as a share of the best first one's, and how it moves.

    Args:
        recipes: Name -> skill of a fresh fit; `better` joins on night 20.
        stale: Share of the skill that a model loses with each night of its age.
        rot: Share of the skill by which each night's fits are worse than those of the night before.
        fits: Luck of a fit, as a share of its skill.
        misled: Share by which validation takes what it is misled about for better than it is.
        about: Recipes that validation is misled about.
        rules: Those that are compared.
    """

    recipes: Mapping[str, float]
    stale: float = 0.002
    rot: float = 0.0
    fits: float = 0.01
    misled: float = 0.0
    about: tuple[str, ...] = ("a", "b")
    rules: tuple[str, ...] = ("before", "now")


PLAIN = {"target_only": 0.8, "ease": 0.95, "a": 1.0, "b": 1.0}
SOURCE = {"target_only": 0.8, "ease": 0.95, "ease+source": 0.95, "a": 0.8, "b": 0.8}  # a baseline has a source, too
HEARD = ("unheard", "now")
EVEN = ("one-sided", "now")
LED = ("ease+source",)
WORLDS = {
    "falling: fits 0.3 % worse each night": World(PLAIN, stale=0.0, rot=0.003),
    "flat": World({**PLAIN, "worse": 0.97}, stale=0.0),
    "flat, what serves goes stale by 0.2 % each night": World({**PLAIN, "worse": 0.97}),
    "rising: fits 0.3 % better each night": World(PLAIN, stale=0.0, rot=-0.003),
    "a recipe 10 % better joins on night 20": World({**PLAIN, "better": 1.1}),
    "a source brings nothing, and validation takes a and b for 25 % better": World(SOURCE, misled=0.25, rules=HEARD),
    "a source brings ease 10 %, and validation takes a and b for 40 % better": World(
        {**SOURCE, "ease+source": 1.045}, misled=0.4, rules=HEARD
    ),
    "a source brings ease 10 %, and a and b are better yet": World(
        {"target_only": 0.8, "ease": 0.9, "ease+source": 0.99, "a": 1.0, "b": 1.0}, rules=HEARD
    ),
    "a source brings nothing, and validation takes ease for 25 % better with it": World(
        {**SOURCE, "a": 0.95, "b": 0.95}, misled=0.25, about=LED, rules=EVEN
    ),
    "a source brings a and b 10 %, and validation takes ease for 40 % better with it": World(
        {**SOURCE, "a": 1.045, "b": 1.045}, misled=0.4, about=LED, rules=EVEN
    ),
}
SIZES = {"sparse": (0.04, 4000), "dense": (0.4, 4000)}  # skill above chance, test users


@dataclass(frozen=True)
class Fit:
    """A recipe as it was fitted on one night."""

    recipe: str
    night: int


@dataclass
class Simulation:
    """One world with its users; equal seeds give equal users, fits and validation to every rule."""

    world: World
    skill: float
    users: int
    seed: int
    luck: dict[object, FloatArray] = field(default_factory=dict)

    def drawn(self, *what: object) -> FloatArray:
        """Draw standard normal values of all users of all nights, always the same ones for the same thing."""
        if what not in self.luck:
            digits = [self.seed, *"".join(map(str, what)).encode()]
            total = self.users * (NIGHTS + WINDOW) // WINDOW
            self.luck[what] = np.random.default_rng(digits).normal(size=total)
        return self.luck[what]

    def expected(self, fit: Fit, night: int) -> float:
        """Give the true metric on a night of a fit without luck."""
        kept = (1 - self.world.rot) ** fit.night * (1 - self.world.stale) ** (night - fit.night)
        return self.skill * self.world.recipes[fit.recipe] * kept

    def truth(self, fit: Fit, night: int) -> float:
        """Give the true metric of a fit on a night."""
        luck = np.random.default_rng([self.seed, fit.night, *fit.recipe.encode()]).normal(0, self.world.fits)
        return float(self.expected(fit, night) * (1 + luck))

    def best(self, night: int) -> float:
        """Give what the best recipe of the night would reach, fitted on the best night so far."""
        return max(self.expected(Fit(lane.name, at), night) for lane in self.lanes(night) for at in (0, night))

    def values(self, fit: Fit, night: int) -> Means:
        """Give each user of a night's window its metric: a gain where its luck is above what the truth demands."""
        step = self.users // WINDOW
        window = slice(night * step, night * step + self.users)
        own = np.sqrt(1 - SHARED - OWN) * self.drawn("fit", fit.recipe, fit.night)[window]
        luck = np.sqrt(SHARED) * self.drawn("user")[window] + np.sqrt(OWN) * self.drawn("recipe", fit.recipe)[window]
        gain = GAIN + (norm.cdf(self.drawn("gain")[window]) - 0.5) * 0.8  # between 0.2 and 1
        hit = luck + own > norm.isf(self.truth(fit, night) / GAIN)
        return Means(np.where(hit, gain, 0.0)[:, None])

    def lanes(self, night: int) -> list[Lane]:
        """List the recipes of a night with what validation says of them: the truth, off by 3 %."""
        names = [name for name in self.world.recipes if name != "better" or night >= ARRIVES]
        rng = np.random.default_rng([self.seed, night, 7])
        seen = {name: 1 + rng.normal(0, 0.03) for name in names}
        for name in set(self.world.about) & set(names):
            seen[name] += self.world.misled
        return [
            Lane(name, "baseline" if name.startswith("ease") else "strategy",
                 self.truth(Fit(name, night), night) * seen[name], transfer=name not in ("target_only", "ease"),
                 recipe=name, counterpart="ease" if name == "ease+source" else None)
            for name in names
        ]  # fmt: skip


@dataclass
class Told:
    """What became of one run of nights."""

    changes: int = 0
    flaps: int = 0  # changes of the recipe
    worse: int = 0  # changes to what is truly worse
    bad: int = 0  # changes to what is truly worse by more than 2 %
    lost: float = 0.0  # of the true metric against the best that could serve, mean over nights
    end: float = 0.0  # the same on the last night
    late: float = np.nan  # nights until the better recipe served


def new_rule(lanes: list[Lane], test: Scores, champion: ChampionScores | None) -> tuple[str | None, float]:
    """Ask the gate; gives what it promotes, and the sum that the version carries."""
    verdict = decide(Terms(GATE, "ndcg@10", ITEMS, 1), lanes, test, champion)
    return verdict.lane, verdict.creep


def unheard(lanes: list[Lane], test: Scores, champion: ChampionScores | None) -> tuple[str | None, float]:
    """Ask the gate with a best baseline that seems to have no source, so that it is not heard beside a champion.

    The candidate and the refit of what serves stay as they are.
    """
    if champion is None:
        return new_rule(lanes, test, champion)
    picked = max(lanes, key=lambda lane: lane.valid)
    heard = [one == picked or one.kind != "baseline" or one.recipe == champion.recipe for one in lanes]
    hidden = [one if stays else replace(one, transfer=False) for one, stays in zip(lanes, heard, strict=True)]
    return new_rule(hidden, test, champion)


def one_sided(lanes: list[Lane], test: Scores, champion: ChampionScores | None) -> tuple[str | None, float]:
    """Ask the gate with strategies that seem to have no source where validation picks a baseline: none is heard."""
    picked = max(lanes, key=lambda lane: lane.valid)
    hides = picked.kind == "baseline"
    hidden = [replace(one, transfer=False) if hides and one.kind == "strategy" else one for one in lanes]
    return new_rule(hidden, test, champion)


def old_rule(lanes: list[Lane], test: Scores, champion: ChampionScores | None) -> tuple[str | None, float]:
    """Judge as before: 5 % of each reference's own metric, intervals no wider than that, any recipe alike."""
    scores = champion.scores if champion else test
    picked = max(lanes, key=lambda lane: lane.valid)
    drawn = resample(scores.lanes, GATE.resamples, 1)

    def outcome(reference: str, better: bool) -> tuple[bool, bool]:
        a, b = drawn[picked.name], drawn[reference]
        value, delta = float(a.value[0] - b.value[0]), GATE.delta * float(b.value[0])
        low, high = np.quantile(a.drawn[:, 0] - b.drawn[:, 0], [GATE.alpha / 2, 1 - GATE.alpha / 2])
        narrow = max(value - low, high - value) <= delta
        return low > 0 or (not better and low > -delta and narrow), low > -delta

    against = [("target_only", picked.must_beat is not None), ("ease", False)]
    against += [("champion", False)] if champion else []
    found = [outcome(name, better) for name, better in against if name != picked.name]
    if all(passed for passed, _ in found):
        return picked.name, 0.0
    if champion is None:
        safe = [lane for lane in lanes if lane.name in ("target_only", "ease")]
        return max(safe, key=lambda lane: lane.valid).name, 0.0
    aged = champion.age_days > GATE.max_age_days and all(not_worse for _, not_worse in found)
    return picked.name if aged else None, 0.0


DRAWS = statistics.draws
RULES = {"before": old_rule, "unheard": unheard, "one-sided": one_sided, "now": new_rule}


def simulate(world: World, skill: float, users: int, seed: int, rule: str) -> Told:
    """Go through the nights with one rule."""
    simulation, told = Simulation(world, skill, users, seed), Told()
    serves: Fit | None = None
    creep, losses = 0.0, []
    for night in range(NIGHTS):
        lanes = simulation.lanes(night)
        values = {lane.name: simulation.values(Fit(lane.name, night), night) for lane in lanes}
        values["chance"] = Means(np.zeros((users, 1)))
        champion = None
        if serves is not None:
            scores = Scores(("ndcg@10",), {**values, "champion": simulation.values(serves, night)}, users)
            champion = ChampionScores(1, "", float(night - serves.night), scores, serves.recipe, creep)
        chosen, added = RULES[rule](lanes, Scores(("ndcg@10",), values, users), champion)
        if chosen:
            fit, creep = Fit(chosen, night), added
            if serves is not None:
                gained = simulation.truth(fit, night) / simulation.truth(serves, night) - 1
                told.changes += 1
                told.flaps += chosen != serves.recipe
                told.worse += gained < 0
                told.bad += gained < -0.02
            serves = fit
        assert serves is not None  # the first night always has something safe
        losses.append(1 - simulation.truth(serves, night) / simulation.best(night))
        if np.isnan(told.late) and serves.recipe == "better":
            told.late = night - ARRIVES
    told.lost, told.end = float(np.mean(losses)), losses[-1]
    return told


def first_nights(count: int) -> None:
    """Print how often a lane serves whose source brings nothing: as the candidate, and as who is heard after it."""
    world = World({"target_only": 1.0, "ease": 1.0, "ease+source": 1.0, "a": 1.0}, fits=0.0)
    print("| rows | candidate | baseline after it | strategy after it |\n|---|---|---|---|", flush=True)
    for size, (skill, users) in SIZES.items():
        served = Counter[str]()
        for seed in range(count):
            simulation = Simulation(world, skill, users, seed)
            lanes = simulation.lanes(0)
            values = {lane.name: simulation.values(Fit(lane.name, 0), 0) for lane in lanes}
            values["chance"] = Means(np.zeros((users, 1)))
            found = decide(Terms(GATE, "ndcg@10", ITEMS, 1), lanes, Scores(("ndcg@10",), values, users), None)
            if found.lane in ("a", "ease+source"):
                served["candidate" if found.lane == found.candidate else found.lane] += 1
        cells = [f"{100 * served[name] / count:.2f} %" for name in ("candidate", "ease+source", "a")]
        print(f"| {size} | {' | '.join(cells)} |", flush=True)


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--world", default="", help="only those with this in their name")
    parser.add_argument("--first", type=int, default=0, help="so many first nights instead")
    given = parser.parse_args()
    statistics.draws = cache(lambda *of: tuple(DRAWS(*of)))  # the same ones each night: most of the time would go there
    if given.first:
        first_nights(given.first)
        return
    head = ["world", "rows", "rule", "changes", "of the recipe", "to worse", "to worse by 2 %", "lost, mean",
            "lost at the end", "better one served"]  # fmt: skip
    print(f"| {' | '.join(head)} |\n|{'---|' * len(head)}", flush=True)
    worlds = {name: world for name, world in WORLDS.items() if given.world in name}
    cases = [(*one, rule) for one in product(worlds.items(), SIZES.items()) for rule in one[0][1].rules]
    for (name, world), (size, (skill, users)), rule in cases:
        found = [simulate(world, skill, users, seed, rule) for seed in range(given.repeats)]
        means = [np.mean([getattr(one, key) for one in found]) for key in ("changes", "flaps", "worse", "bad")]
        losses = [f"{100 * np.mean([getattr(one, key) for one in found]):.1f} %" for key in ("lost", "end")]
        late = [one.late for one in found if not np.isnan(one.late)]
        served = f"{len(late)} of {len(found)}" + (f", after {np.mean(late):.1f}" if late else "")
        cells = [name, size, rule, *(f"{mean:.1f}" for mean in means), *losses]
        cells.append(served if "better" in world.recipes else "")
        print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
