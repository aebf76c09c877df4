"""A folder that was published is held against its manifest: every single bit that changes is seen, and named."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline import folders
from pipeline.config import Embedded
from pipeline.errors import StorageError
from pipeline.folders import META, Home, hash_file, read_json, write_json, written_whole
from pipeline.integrity import damage, refuse_damaged, set_aside, stated_damage
from pipeline.steps.ingest import _generated


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A published folder with an artifact, an artifact in a folder, and a page that may differ."""
    final = tmp_path / "step"
    with written_whole(final, {"finished": 1.5}) as made:
        (made / "table.bin").write_bytes(bytes(range(100)))
        (made / "more").mkdir()
        (made / "more" / "facts.json").write_text('{"rows": 3}')
        (made / "unhashed").mkdir()
        (made / "unhashed" / "page.html").write_text("<p>3 rows</p>")
    assert not damage(final)
    return final


def flip(path: Path, place: int, bit: int = 0) -> None:
    """Change one bit of a file; its size stays."""
    content = bytearray(path.read_bytes())
    content[place] ^= 1 << bit
    path.write_bytes(content)


@pytest.mark.parametrize("name", ["table.bin", "more/facts.json", "unhashed/page.html", "manifest.json"])
def test_every_flipped_bit_is_seen(folder: Path, name: str) -> None:
    """In an artifact, a page or the manifest itself, anywhere in the file."""
    path = folder / name
    whole = path.read_bytes()
    for place in range(len(whole)):
        flip(path, place, place % 8)
        assert damage(folder), (place, path.read_bytes())
        path.write_bytes(whole)
    assert not damage(folder)


CHANGES: dict[str, tuple[str, Callable[[Path], object]]] = {
    "cut": ("table.bin", lambda path: path.write_bytes(path.read_bytes()[:-1])),
    "longer": ("table.bin", lambda path: path.write_bytes(path.read_bytes() + b"x")),
    "gone": ("table.bin", Path.unlink),
    "more": ("new.bin", Path.touch),
    "more in a folder": ("more/new.bin", Path.touch),
    "page gone": ("unhashed/page.html", Path.unlink),
    "page more": ("unhashed/more.html", Path.touch),
    "no manifest": ("manifest.json", Path.unlink),
    "broken manifest": ("manifest.json", lambda path: path.write_text('{"table')),
    "no text as manifest": ("manifest.json", lambda path: path.write_bytes(b"\xff\xfe")),
    "list as manifest": ("manifest.json", lambda path: path.write_text("[]")),
    "odd manifest": ("manifest.json", lambda path: path.write_text('{"table.bin": 3}')),
    "no meta": (META, Path.unlink),
    "broken meta": (META, lambda path: path.write_text("{")),
    "list as meta": (META, lambda path: path.write_text("[]")),
    "number as meta": (META, lambda path: path.write_text("3")),
    "meta without pages": (META, lambda path: path.write_text('{"finished": 1.5}')),
}


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_is_named(folder: Path, change: str) -> None:
    """What is wrong names the file."""
    name, make = CHANGES[change]
    make(folder / name)
    assert ("table.bin" if change == "odd manifest" else name) in damage(folder)


def test_what_was_expected_is_told(folder: Path) -> None:
    """Size and hash, as the manifest has them and as the file has them."""
    stated = read_json(folder / "manifest.json")["table.bin"]["sha256"][:12]
    (folder / "table.bin").write_bytes(b"abc")
    told = f"table.bin: expected 100 bytes with SHA-256 {stated}, found 3 bytes with SHA-256 ba7816bf8f01"
    assert damage(folder) == told
    with pytest.raises(StorageError, match=f"step: the model is damaged and is not served: {told}"):
        refuse_damaged(folder, "model")


def test_many_files_are_counted(folder: Path) -> None:
    """A message names a few files and counts the others."""
    for number in range(5):
        (folder / f"new{number}").touch()
    assert damage(folder).endswith("; and 2 more")


def test_files_beyond_the_manifest(folder: Path) -> None:
    """Where others may add files, only those that the manifest names are held against it."""
    (folder / "registered_model_meta").touch()
    assert not stated_damage(folder, beyond=False)
    flip(folder / "table.bin", 5)
    assert stated_damage(folder, beyond=False).startswith("table.bin: ")


def test_the_last_damaged_folder_is_kept(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Set aside under a plain name, and said so; the one before goes."""
    set_aside(folder, "table.bin: gone")
    folder.mkdir()
    (folder / "second").touch()
    set_aside(folder, "second: why not")
    assert [path.name for path in folder.parent.iterdir() if "step" in path.name] == ["step.damaged"]
    assert [path.name for path in folder.with_name("step.damaged").iterdir()] == ["second"]
    assert "second: why not" in caplog.text
    assert "step.damaged" in caplog.text


def test_a_file_is_read_once_until_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process hashes a file again after a change that keeps its size and its time, and not without one."""
    path, read = tmp_path / "x", []
    path.write_bytes(b"abc")
    real = folders._sha256
    monkeypatch.setattr(folders, "_SETTLED", 0)
    monkeypatch.setattr(folders, "_sha256", lambda file: read.append(file) or real(file))
    first = hash_file(path)
    assert [hash_file(path) for _ in range(3)] == [first] * 3
    assert len(read) == 1
    before = path.stat()
    while path.stat().st_ctime_ns == before.st_ctime_ns:  # the clock of the file system ticks in milliseconds
        path.write_bytes(b"abd")
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert hash_file(path) != first


def test_a_file_written_just_now_is_read_again(tmp_path: Path) -> None:
    """Two writes within one tick of the file system's clock look the same; nobody trusts that."""
    path = tmp_path / "x"
    hashes = set()
    for number in range(50):
        path.write_bytes(b"%03d" % number)
        hashes.add(hash_file(path))
    assert len(hashes) == 50


def test_damaged_tables_of_the_generator_are_made_again(tmp_path: Path) -> None:
    """The generated tables are what everything else hangs on: a flipped bit makes them anew, to the same bytes."""
    home, config = Home(tmp_path), Embedded(users=50, items=20)
    made = _generated(home, config, "here", "there")
    table = made / "interactions.parquet"
    whole = table.read_bytes()
    flip(table, len(whole) // 2)
    assert _generated(home, config, "here", "there") == made
    assert table.read_bytes() == whole
    assert made.with_name(f"{made.name}.damaged").is_dir()


def test_meta_may_hold_anything_else(folder: Path) -> None:
    """What may differ between equal runs is not held against anything."""
    write_json(folder / META, {**read_json(folder / META), "finished": 2.5})
    assert not damage(folder)
