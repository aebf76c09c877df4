"""From two files and no scenario to a run that ends: `crosslift init`, `scenarios check`, `run`."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.commands import Crosslift, commands

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")]

KEY = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def crosslift(tmp_path: Path) -> Crosslift:
    """Two shops' files as somebody exports them, and a function that runs a command beside them."""
    random = np.random.default_rng(0)
    (folder := tmp_path / "shops").mkdir()
    (folder / "films.csv").write_text("userid;productId;ts\n" + rows(random, range(60), "film", 700, ";", "%d"))
    (folder / "books.csv").write_text("customer,isbn,ordered_at\n" + rows(random, range(20, 80), "book", 400, ",", ""))
    ours = {"CROSSLIFT_SCENARIOS": str(tmp_path), "CROSSLIFT_DATA": str(folder), "CROSSLIFT_KEY": KEY}
    return commands(tmp_path / "home", tmp_path, **ours)


def rows(random: np.random.Generator, users: range, items: str, count: int, separator: str, time: str) -> str:
    """Rows of a shop in which each user likes every third item; times as seconds or as dates."""
    told = []
    for user in random.choice(users, count):
        item, second = user % 3 + 3 * int(random.integers(8)), 1_700_000_000 + int(random.integers(10**7))
        when = time % second if time else str(np.datetime64(second, "s"))
        told.append(separator.join((f"u{user}", f"{items}{item}", when)))
    return "\n".join(told) + "\n"


def test_two_files_become_a_run_that_ends(crosslift: Crosslift, tmp_path: Path) -> None:
    """Nothing is written by hand, the check passes, and the run comes to its end."""
    begun = crosslift("init", "shops", "--json")
    assert begun.returncode == 0, begun.stderr
    told = json.loads(begun.stdout)
    assert (told["used"], told["unused"]) == (["books.csv", "films.csv"], {})
    checked = crosslift("scenarios", "check", str(tmp_path / "shops.yaml"))
    assert "It fits the first rows of books.csv, films.csv." in checked.stdout, checked.stderr
    done = crosslift(
        "run", "shops", "--epochs", "1", "--strategies", "fine_tune", "--jobs", "1", "--run-id", "one", "--json"
    )
    summary = json.loads(done.stdout)
    assert done.returncode in (0, 4), done.stderr
    ended = {step["lane"] or step["step"]: step["state"] for step in summary["steps"]}
    assert {"target_only", "fine_tune", "popularity", "user_knn", "ials", "ials+source", "promote"} <= set(ended)
    assert set(ended.values()) == {"computed"}
    again = crosslift("init", "shops")
    assert again.returncode == 2
    assert "is there already, and stays as it is" in again.stderr
