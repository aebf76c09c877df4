"""Who may enter the home, and what a trace tells."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.privacy import keep_private, trace


@pytest.fixture(autouse=True)
def umask() -> Iterator[None]:
    """Put the usual umask back after each test."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o7777


@pytest.mark.parametrize(
    ("entries", "before", "after"),
    [
        ([], 0o755, 0o700),
        (["runs", "logs"], 0o755, 0o700),
        (["runs"], 0o770, 0o700),
        (["runs"], 0o500, 0o500),
        (["my thesis"], 0o755, 0o755),
        (["runs"], 0o1777, 0o1777),
    ],
)
def test_a_home_is_closed(tmp_path: Path, entries: list[str], before: int, after: int) -> None:
    """A folder that is empty or holds runs is one; another one, and one like /tmp, stays as it is."""
    home = tmp_path / "home"
    home.mkdir()
    for name in entries:
        (home / name).mkdir()
    home.chmod(before)
    keep_private(home)
    assert mode(home) == after
    home.chmod(0o700)


def test_what_is_made_from_now_on_is_private(tmp_path: Path) -> None:
    """A home that is not there yet is no error, and is private once it is made; so are files in it."""
    home = tmp_path / "new" / "home"
    keep_private(home)
    (home / "runs").mkdir(parents=True)
    (home / "runs" / "x").write_text("")
    assert [mode(path) for path in (home, home / "runs", home / "runs" / "x")] == [0o700, 0o700, 0o600]


def test_a_home_of_somebody_else_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It could not be changed, and need not be."""
    tmp_path.chmod(0o755)
    monkeypatch.setattr(os, "geteuid", lambda: tmp_path.stat().st_uid + 1)
    keep_private(tmp_path)
    assert mode(tmp_path) == 0o755


def test_a_trace_tells_places_and_types_alone() -> None:
    """Of every exception of the chain, but for those that were cut off."""
    who = "ann@example.com"

    def fail(cut: bool) -> None:
        try:
            raise KeyError(who)
        except KeyError as error:
            raise ValueError(who) from (None if cut else error)

    for cut in (True, False):
        with pytest.raises(ValueError, match="ann") as caught:
            fail(cut)
        told = trace(caught.value)
        assert ("KeyError (message not kept)" in told) != cut
        assert "ValueError (message not kept)" in told
        assert "in fail" in told
        assert who not in told
