"""What only shows when the examples of all domains are looked at together: sizes, shares, features, labels."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from pipeline.config import BinaryTask, CheckSettings, ExamplesTask, MulticlassTask, MultilabelTask, RegressionTask
from pipeline.data.rules import Check
from pipeline.data.tokens import WORDS_OF
from pipeline.rows.examples.tables import NAME
from pipeline.rows.examples.tags import one_by_one, spelt_once, tag_names
from pipeline.rows.figures import ABSENT, SHARE, THIN, Figures, Told
from pipeline.rows.kind import CleanTables

_NAMED = 10  # classes that a message lists
MOST_TAGS = 500  # of all domains: each costs a model of its own where methods know one answer only


def crossing_checks(
    settings: CheckSettings, domains: Mapping[str, CleanTables]
) -> tuple[pd.DataFrame, tuple[Check, ...]]:
    """One row of figures about the domains together, and the checks on them.

    Returns:
        (frame of one row, a check for each of its columns).
    """
    task = settings.task
    assert isinstance(task, ExamplesTask)
    figures = Figures.of_sizes(settings, domains, NAME)
    frames = {name: domain.tables[NAME] for name, domain in domains.items()}
    shared = [name for name in task.features if all(_filled(frame, name) for frame in frames.values())]
    figures.expect_bridge(
        f"{SHARE}the {len(task.features):,} declared features that every domain has", len(shared), len(task.features),
        Told("bridge_features", "with a value in at least one row of a hundred of every domain",
             "map the columns of each table to the declared features"),
    )  # fmt: skip
    _spelt_alike(figures, settings, frames)
    _classes_in_common(figures, settings, frames)
    for name, frame in frames.items():
        for one in task.each:
            _expect_labels(figures, settings, name, one, frame[one.label].dropna())
        figures.expect_no_heavy(name, frame, tuple(dict.fromkeys((*task.groups, *task.entities))))
        used = {one: frame[one] for one in task.features if one in frame and len(frame)}
        figures.expect_values(name, used)
    for one in task.each:
        if isinstance(one, MultilabelTask):
            _expect_tags(figures, one, pd.concat([frame[one.label].dropna() for frame in frames.values()]))
        if isinstance(one, MulticlassTask) and one.costs:
            _expect_classes(figures, one, pd.concat([frame[one.label].dropna() for frame in frames.values()]))
    return figures.table()


def _expect_labels(
    figures: Figures, settings: CheckSettings, domain: str, task: ExamplesTask, labels: "pd.Series[Any]"
) -> None:
    """Something to learn; of what is predicted beside the gated label a domain may say nothing, but that is told."""
    assert isinstance(settings.task, ExamplesTask)
    gated, needs = task.label == settings.task.label, domain != settings.target or settings.target_labels
    figure, value, least = _labels(task, labels)
    figures.expect(
        f"{figure} of {domain}" if gated else f"{figure} of {task.label} of {domain}",
        value, ("critical" if gated else "warning") if needs else "info",
        Told("labels", f"at least {least}, or there is nothing to learn",
             f"look at the column that is mapped to {task.label!r}, and deliver labels of every kind"),
        min_value=least,
    )  # fmt: skip


def _spelt_alike(figures: Figures, settings: CheckSettings, frames: Mapping[str, pd.DataFrame]) -> None:
    """Compare the values of categories, and words: those that no source ever met say nothing of what it taught."""
    assert isinstance(settings.task, ExamplesTask)
    target = frames[settings.target]
    for name, type_ in settings.task.features.items():
        sources = [frames[source][name] for source in settings.sources if _filled(frames[source], name)]
        if type_ == "category" and sources and _filled(target, name):
            own = target[name].dropna()
            figures.expect(
                f"{SHARE}the {len(own):,} rows of {settings.target} whose {name} a source has",
                float(own.isin(pd.concat(sources)).mean()), "warning",
                Told("values_in_common", f"at least {THIN:.0%}",
                     f"look whether the domains write {name} alike, else what the sources taught of it is lost"),
                min_value=THIN,
            )  # fmt: skip
        if type_ in WORDS_OF and sources and _filled(target, name):
            words = WORDS_OF[type_](target[name])[0]
            figures.expect(
                f"{SHARE}the {len(words):,} words of {name} of {settings.target} that a source has",
                float(np.isin(words, WORDS_OF[type_](pd.concat(sources))[0]).mean()) if len(words) else 0.0, "warning",
                Told("words_in_common", f"at least {THIN:.0%}",
                     f"look whether the domains write {name} in one language, else what the sources taught of it is "
                     "lost"),
                min_value=THIN,
            )  # fmt: skip


def _classes_in_common(figures: Figures, settings: CheckSettings, frames: Mapping[str, pd.DataFrame]) -> None:
    """Tell how much of the target is of classes that a source has: of the others it can teach nothing."""
    assert isinstance(settings.task, ExamplesTask)
    for one in settings.task.each if settings.target_labels else ():
        sources = [labels for name in settings.sources if len(labels := frames[name][one.label].dropna())]
        own = frames[settings.target][one.label].dropna()
        if isinstance(one, MulticlassTask) and sources and len(own):
            known = own.isin(pd.concat(sources))
            names = [] if one.label in settings.personal else sorted(map(str, own[~known].unique()))
            more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
            unknown = f"{', '.join(names[:_NAMED])}{more}" if names else "some of its classes"
            figures.expect(
                f"{SHARE}the {len(own):,} labelled rows of {settings.target} whose {one.label} a source has",
                float(known.mean()), "warning",
                Told("classes_in_common", f"at least {1 - THIN:.0%}",
                     f"no source has {unknown}: look whether the domains spell classes alike, else what a source "
                     "taught is wrong of all such rows, and lanes that rest on it may hurt"),
                min_value=1 - THIN,
            )  # fmt: skip


def _expect_tags(figures: Figures, task: MultilabelTask, labels: "pd.Series[Any]") -> None:
    """Tags that are read as they were meant: some rows have several, and the tags are no words of a text."""
    spelt = spelt_once(labels, task).dropna()
    several = int((one_by_one(spelt, task).groupby(level=0).size() > 1).sum())
    figures.expect(
        "rows with several tags", several, "warning" if (spelt == task.none).any() else "critical",
        Told("several_tags", f"at least 1 row with several tags, with {task.separator!r} between them",
             "state the separator that stands in the table (task.separator), or, if each row has one tag, kind: "
             "multiclass"),
        min_value=1,
    )  # fmt: skip
    figures.expect(
        "different tags", len(tag_names(spelt, task)), "critical",
        Told("fewer_tags", f"at most {MOST_TAGS} different tags",
             "leave out the rare ones, or look whether the column is a text and no list of tags"),
        max_value=MOST_TAGS,
    )  # fmt: skip


def _expect_classes(figures: Figures, task: MulticlassTask, labels: "pd.Series[Any]") -> None:
    """Costs of classes that there are: a name that is misspelt would say nothing."""
    stated = {*task.costs, *(name for told in task.costs.values() for name in told)}
    unknown = sorted(stated - set(labels.unique()))
    figures.expect(
        f"classes that task.costs names and no row has{': ' if unknown else ''}{', '.join(unknown)}", len(unknown),
        "critical",
        Told("costs_of_unknown_classes", "costs of mistakes between classes that a row has",
             f"write the names as {task.label!r} has them, or leave these out"),
        max_value=0,
    )  # fmt: skip


def _labels(task: ExamplesTask, labels: "pd.Series[Any]") -> tuple[str, int, int]:
    """What is counted, how much of it there is, and how much is needed."""
    if isinstance(task, RegressionTask):
        return "labelled rows", len(labels), 1
    if isinstance(task, MultilabelTask):
        return "sets of tags", int(spelt_once(labels, task).nunique()), 2
    if isinstance(task, BinaryTask) and task.positive is not None:
        labels = labels == task.positive
    return "classes", int(labels.nunique()), 2


def _filled(frame: pd.DataFrame, name: str) -> bool:
    return name in frame and len(frame) > 0 and bool(frame[name].notna().mean() >= ABSENT)
