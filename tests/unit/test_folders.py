"""Publishing a folder whole or not at all, and the names of things below the home."""

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import folders
from pipeline.errors import StorageError
from pipeline.folders import (
    META,
    Home,
    canonical_json,
    digest,
    manifest_hash,
    manifest_of,
    read_json,
    run_folder,
    vanish,
    write_json,
    written_whole,
)
from pipeline.integrity import damage

# SHA-256 of the three bytes "abc", from the standard (FIPS 180-2, appendix B.1).
ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def publish(final: Path, text: str = "abc") -> None:
    """Publish a folder with one artifact, one page that may differ, and a time in its meta file."""
    meta: dict[str, object] = {}
    with written_whole(final, meta) as folder:
        (folder / "table.txt").write_text(text)
        (folder / "unhashed").mkdir()
        (folder / "unhashed" / "page.html").write_text(os.urandom(4).hex())
        meta["finished"] = os.urandom(4).hex()


def test_published_whole(tmp_path: Path) -> None:
    """The folder has its artifact, a manifest with the right hash, and the meta that was filled inside the block."""
    publish(tmp_path / "step" / "one")
    assert read_json(tmp_path / "step" / "one" / "manifest.json") == {"table.txt": {"bytes": 3, "sha256": ABC}}
    assert set(read_json(tmp_path / "step" / "one" / META)) == {"finished", "unhashed"}
    assert [path.name for path in (tmp_path / "step").iterdir()] == ["one"]


def test_equal_artifacts_equal_manifest(tmp_path: Path) -> None:
    """What may differ between equal runs does not enter the manifest; what was computed does."""
    for name, text in (("one", "abc"), ("two", "abc"), ("three", "abd")):
        publish(tmp_path / name, text)
    hashes = [manifest_hash(tmp_path / name) for name in ("one", "two", "three")]
    assert hashes[0] == hashes[1] != hashes[2]


@pytest.mark.parametrize("raised", [ValueError("ours"), KeyboardInterrupt()])
def test_nothing_after_an_error(tmp_path: Path, raised: BaseException) -> None:
    """An error inside the block, also Ctrl-C, leaves neither the folder nor a temporary one."""
    with pytest.raises(type(raised)), written_whole(tmp_path / "steps" / "one") as folder:  # noqa: PT012
        (folder / "half").write_text("half")
        raise raised
    assert list((tmp_path / "steps").iterdir()) == []


def test_replaced_whole(tmp_path: Path) -> None:
    """A second publication replaces the first, and a failed one leaves the first as it was."""
    publish(tmp_path / "one", "abc")
    publish(tmp_path / "one", "second")
    assert (tmp_path / "one" / "table.txt").read_text() == "second"
    with pytest.raises(ValueError, match="third"), written_whole(tmp_path / "one"):
        raise ValueError("third")
    assert (tmp_path / "one" / "table.txt").read_text() == "second"
    assert not damage(tmp_path / "one")
    assert [path.name for path in tmp_path.iterdir()] == ["one"]


@pytest.mark.parametrize(
    ("number", "told"),
    [
        (errno.ENOSPC, "the disk is full. Nothing was published; free some space"),
        (errno.EDQUOT, "the disk is full"),
        (errno.EACCES, "cannot be written. Nothing was published; make it writable or set CROSSLIFT_HOME"),
        (errno.EROFS, "cannot be written"),
    ],
)
@pytest.mark.parametrize("when", ["writing", "syncing", "renaming"])
def test_trouble_with_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, told: str, when: str
) -> None:
    """A disk that is full or cannot be written is told as such, whenever it happens, and nothing is published."""

    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    if when != "writing":
        monkeypatch.setattr(folders, "_sync" if when == "syncing" else "_publish", fail)
    with pytest.raises(StorageError, match=told), written_whole(tmp_path / "steps" / "one") as folder:  # noqa: PT012
        (folder / "table").write_text("abc")
        if when == "writing":
            fail()
    assert list((tmp_path / "steps").iterdir()) == []


def test_other_trouble_stays_what_it_is(tmp_path: Path) -> None:
    """An error that is not the disk's is not told as if it were."""
    with pytest.raises(FileNotFoundError), written_whole(tmp_path / "one"):
        (tmp_path / "absent").read_text()


def test_a_file_where_a_folder_should_be_is_no_home(tmp_path: Path) -> None:
    """A folder that cannot be made raises and leaves what was there."""
    (tmp_path / "steps").write_text("mine")
    with pytest.raises(OSError, match="steps"), written_whole(tmp_path / "steps" / "one"):
        pass
    assert (tmp_path / "steps").read_text() == "mine"


def test_killed_while_publishing(tmp_path: Path, run_python: Callable[..., str]) -> None:
    """A process killed with SIGKILL just before the rename publishes nothing, and the next try succeeds."""
    code = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from pipeline import folders\n"
        "if os.fork() == 0:\n"
        "    folders._publish = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    with folders.written_whole(Path(os.environ['FINAL'])) as folder:\n"
        "        (folder / 'table').write_text('abc')\n"
        "print(os.waitstatus_to_exitcode(os.wait()[1]))\n"
    )
    final = tmp_path / "steps" / "one"
    assert run_python(code, FINAL=str(final)).strip() == "-9"
    assert not final.exists()
    assert [path.suffix for path in final.parent.iterdir()] == [".tmp"]  # what `clean` removes
    publish(final)
    assert not damage(final)


def test_killed_while_removing(tmp_path: Path, run_python: Callable[..., str]) -> None:
    """A process killed with SIGKILL while it removes a folder leaves no half of it in its place."""
    code = (
        "import os, signal\n"
        "from pathlib import Path\n"
        "from pipeline import folders\n"
        "def half(folder):\n"
        "    (folder / 'epoch0001').unlink()\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "if os.fork() == 0:\n"
        "    folders.shutil.rmtree = half\n"
        "    folders.vanish(Path(os.environ['FOLDER']))\n"
        "print(os.waitstatus_to_exitcode(os.wait()[1]))\n"
    )
    work = tmp_path / "work"
    for name in ("epoch0001", "epoch0002"):
        work.mkdir(exist_ok=True)
        (work / name).touch()
    assert run_python(code, FOLDER=str(work)).strip() == "-9"
    assert [path.name for path in tmp_path.iterdir()] == [".work.old"]
    work.mkdir()
    vanish(work)  # over what the first try left
    assert list(tmp_path.iterdir()) == []


def test_manifest_has_no_entry_for_itself(tmp_path: Path) -> None:
    """The manifest of a published folder is the manifest of its artifacts."""
    publish(tmp_path / "one")
    assert manifest_of(tmp_path / "one") == read_json(tmp_path / "one" / "manifest.json")


def test_json_in_one_move(tmp_path: Path) -> None:
    """A JSON file is replaced whole: a value that cannot be written leaves the old one."""
    write_json(tmp_path / "a" / "x.json", {"b": 1})
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "a" / "x.json", {"b": float("nan")})
    assert read_json(tmp_path / "a" / "x.json") == {"b": 1}


@pytest.mark.parametrize("content", [None, "{", b"\xff\xfe"])
def test_unreadable_json(tmp_path: Path, content: str | bytes | None) -> None:
    """A missing or damaged JSON file is an error that names it."""
    path = tmp_path / "x.json"
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(StorageError, match=r"x\.json: expected a readable JSON file"):
        read_json(path)


def test_one_spelling_for_each_value() -> None:
    """Equal values have equal bytes and hashes, whatever the order of the keys was."""
    assert canonical_json({"b": [1, "ü"], "a": None}) == b'{"a":null,"b":[1,"\\u00fc"]}'
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1}) != digest({"a": 1, "b": "2"})


AIRFLOW_ID = "manual__2026-11-22T01:37:20.123456+00:00"


@given(st.lists(st.text(max_size=120), min_size=2, max_size=8, unique=True))
def test_run_folders_differ_where_ids_do(ids: list[str]) -> None:
    """Different run ids have different folders, each a plain name below `runs`."""
    names = [run_folder(one) for one in ids]
    assert len(set(names)) == len(ids)
    assert all(set(name) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") for name in names)


@pytest.mark.parametrize(
    "other",
    [
        AIRFLOW_ID.replace(":", "-"),
        AIRFLOW_ID.replace("+", "-"),
        AIRFLOW_ID.replace("+", ":"),
        run_folder(AIRFLOW_ID),
    ],
)
def test_airflow_ids_that_look_alike(other: str) -> None:
    """Ids that differ only in signs that a folder name cannot hold, or are spelt like a folder, have their own."""
    assert run_folder(other) != run_folder(AIRFLOW_ID)


def test_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The home is what CROSSLIFT_HOME names, else `.crosslift` here; all else lies below it."""
    monkeypatch.setenv("CROSSLIFT_HOME", str(tmp_path / "h"))
    assert Home.from_env().root == tmp_path / "h"
    assert Home.from_env().step("audit", "f") == tmp_path / "h" / "steps" / "audit" / "f"
    monkeypatch.setenv("CROSSLIFT_HOME", "")
    monkeypatch.chdir(tmp_path)
    assert Home.from_env().root == tmp_path / ".crosslift"
    assert not (tmp_path / ".crosslift").exists()


def test_json_is_what_the_library_reads(tmp_path: Path) -> None:
    """What is written is JSON of the standard, also for names outside ASCII."""
    write_json(tmp_path / "x.json", {"ü": "<script>"})
    assert json.loads((tmp_path / "x.json").read_text()) == {"ü": "<script>"}
