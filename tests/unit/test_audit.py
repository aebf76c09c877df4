"""The audit: planted defects, each counted exactly."""

import numpy as np
import pandas as pd

from pipeline.rows.interactions.leaks import audit, audit_report, negative_defects
from pipeline.rows.interactions.prepared import DomainData, Domains

TRAIN, VALID, TEST = 0, 1, 2


def domain(name: str, rows: list[tuple]) -> DomainData:
    """A domain from rows of (user, item, part) or (user, item, part, time in days)."""
    frame = pd.DataFrame([row[:3] for row in rows], columns=["user_id", "item_id", "part"])
    users, items = (np.unique(frame[column].to_numpy(dtype=object)) for column in ("user_id", "item_id"))
    dense = pd.DataFrame(
        {
            "user": pd.Index(users).get_indexer(frame["user_id"]).astype("int32"),
            "item": pd.Index(items).get_indexer(frame["item_id"]).astype("int32"),
            "part": frame["part"].astype("int8"),
            "kept": True,
        }
    )
    if any(len(row) == 4 for row in rows):
        days = pd.to_timedelta([row[3] for row in rows], unit="D")
        dense["timestamp"] = pd.Timestamp("2024-01-01", tz="UTC") + days
    return DomainData(name, pd.DataFrame({"user_id": users}), pd.DataFrame({"item_id": items}), dense)


def marks_of(found: pd.DataFrame) -> list[tuple]:
    """Marks as plain tuples."""
    return list(found.itertuples(index=False, name=None))


def twin_domains() -> Domains:
    """`case` and `cover` are one product: a, b and c took both; a's and b's rows of `cover` are test rows."""
    source = domain(
        "electronics",
        [("a", "case", TRAIN), ("b", "case", TEST), ("c", "case", TRAIN), ("a", "lamp", TRAIN), ("b", "lamp", TRAIN)],
    )
    target = domain(
        "phones",
        [("a", "cover", TEST), ("b", "cover", TEST), ("c", "cover", TRAIN), ("a", "sim", TRAIN), ("b", "sim", TRAIN)],
    )
    return Domains((source,), target)


def test_twin_marks_only_where_the_user_has_the_twin_in_training():
    """User a has `case` in training, so a's test row is given away; b has it in the test only."""
    found, report = audit(twin_domains())

    assert marks_of(found) == [("phones", 0, "twin")]
    assert report["twin_pairs"] == {"electronics | phones": 1}
    assert report["domains"]["phones"]["marked"] == 1
    assert report["domains"]["phones"]["test_rows"] == 2
    assert report["domains"]["electronics"]["kinds"]["twin"] == 0


def test_each_domain_is_audited_as_the_target_of_the_others():
    """With c's `case` as the test row, electronics is marked by phones."""
    domains = twin_domains()
    rows = domains.sources[0].rows.assign(part=np.array([TRAIN, TEST, TEST, TRAIN, TRAIN], dtype="int8"))
    source = DomainData("electronics", domains.sources[0].users, domains.sources[0].items, rows)

    found, _ = audit(Domains((source,), domains.target), cold_start=True)

    assert marks_of(found) == [("electronics", 2, "twin"), ("phones", 0, "twin")]


def test_twins_do_not_depend_on_thinning():
    """A twin's training row counts also where thinning took it away, so marks are the same at every share."""
    domains = twin_domains()
    thinned = domains.sources[0].rows.assign(kept=False)
    source = DomainData("electronics", domains.sources[0].users, domains.sources[0].items, thinned)

    assert marks_of(audit(Domains((source,), domains.target))[0]) == [("phones", 0, "twin")]


def test_repeated_rows():
    """A test row that stands in training or validation, and the second of two equal test rows, are marked."""
    other = domain("other", [("z", "y", TRAIN)])
    rows = [("a", "i", TRAIN), ("a", "i", TEST), ("a", "j", TRAIN), ("b", "j", VALID), ("b", "j", TEST)]
    rows += [("a", "k", TEST), ("a", "k", TEST), ("b", "k", TRAIN), ("b", "k", TRAIN)]

    found, report = audit(Domains((other,), domain("shop", rows)))

    assert marks_of(found) == [("shop", row, "repeated") for row in (1, 4, 6)]
    details = report["domains"]["shop"]["details"]
    assert details["test_rows_in_training"] == 2
    assert details["test_rows_repeated_in_test"] == 1
    assert details["training_rows_repeated"] == 1


def test_unseen_users_and_items_are_marked_unless_expected():
    """Without a training row in the domain a user or item is unseen; a cold-start scenario expects that."""
    other = domain("other", [("b", "y", TRAIN)])
    shop = domain("shop", [("a", "i", TRAIN), ("b", "i", TEST), ("a", "j", TEST), ("b", "j", TEST)])

    found, report = audit(Domains((other,), shop))

    assert marks_of(found) == [("shop", row, "unseen") for row in (1, 2, 3)]
    assert report["domains"]["shop"]["details"]["test_rows_of_unseen_users"] == 2
    assert report["domains"]["shop"]["details"]["test_rows_of_unseen_items"] == 2
    assert len(audit(Domains((other,), shop), cold_start=True)[0]) == 0


def test_later_rows_within_and_across_domains():
    """A test row is marked by the same user's later training row in any domain, not by an equally late one."""
    other = domain("other", [("a", "y", TRAIN, 9), ("c", "y", TRAIN, 5)])
    rows = [("a", "i", TRAIN, 1), ("a", "j", TEST, 8)]  # later in the other domain
    rows += [("b", "i", TRAIN, 7), ("b", "j", TEST, 6), ("b", "k", TRAIN, 1)]  # later in the same
    rows += [("c", "i", TRAIN, 2), ("c", "j", TEST, 5), ("c", "j", TRAIN, 0), ("d", "k", TEST, None)]

    found, report = audit(Domains((other,), domain("shop", rows)), cold_start=True)

    later = [mark for mark in marks_of(found) if mark[2] == "later"]
    assert later == [("shop", 1, "later"), ("shop", 3, "later")]
    details = report["domains"]["shop"]["details"]
    assert details["test_rows_before_the_last_training_row_of_anyone"] == 3


def test_report_is_the_audit_without_the_marks():
    """`audit_report` gives the same counts, as JSON values."""
    assert audit_report(twin_domains()) == audit(twin_domains())[1]


def test_clean_domains_have_no_marks():
    """Nothing planted, nothing found, and the empty table keeps its columns."""
    other = domain("other", [("a", "y", TRAIN)])

    found, _ = audit(Domains((other,), domain("shop", [("a", "i", TRAIN), ("b", "i", TRAIN), ("a", "i2", TRAIN)])))

    assert list(found.columns) == ["domain", "row", "kind"]
    assert len(found) == 0


def test_negative_defects():
    """The positive among its negatives, negatives from training and repeated ones are counted exactly."""
    candidates = pd.DataFrame(
        {
            "user_id": ["a", "b", "c"],
            "item_id": ["i", "j", "k"],
            "negative_item_ids": [["i", "x", "y"], ["x", "x", "x"], ["y", "z"]],
        }
    )
    training = pd.DataFrame({"user_id": ["a", "c", "c"], "item_id": ["y", "y", "z"]})

    assert negative_defects(candidates, training) == {
        "test_rows": 3,
        "negatives": 8,
        "positive_among_negatives": 1,
        "negatives_in_training": 3,
        "repeated_negatives": 2,
    }
