"""Pseudonyms are HMAC-SHA256, and the key stays where it is."""

import hashlib
import hmac

import pyarrow as pa
import pytest

from pipeline.data.pseudonyms import key_id, pseudonym, pseudonymise, read_key
from pipeline.errors import ConfigError

SECRET = "a secret of more than sixteen characters"


def test_a_pseudonym_is_the_standard_hmac():
    """RFC 4231, test case 2, cut to 32 hex digits."""
    assert pseudonym("what do ya want for nothing?", b"Jefe") == "5bdcc146bf60754e6a042426089575c7"


def test_each_id_of_a_column_gets_its_own_pseudonym():
    """Equal ids get equal pseudonyms, other ids others, across chunks; a missing id stays missing."""
    ids = pa.chunked_array([["ann", "bob", None], ["ann", "Zoë 😀"]])
    expected = [
        None if name is None else hmac.new(SECRET.encode(), name.encode(), hashlib.sha256).hexdigest()[:32]
        for name in ids.to_pylist()
    ]
    assert pseudonymise(ids, SECRET.encode()).to_pylist() == expected
    assert len(set(expected)) == 4


def test_another_key_gives_other_pseudonyms():
    """Without the key nobody can link two snapshots."""
    assert pseudonym("ann", b"one key of some length") != pseudonym("ann", b"two key of some length")


def test_the_key_is_read_from_the_environment(monkeypatch):
    """The key is the variable's text in UTF-8."""
    monkeypatch.setenv("CROSSLIFT_KEY", SECRET)
    assert read_key() == SECRET.encode()


@pytest.mark.parametrize(("key", "problem"), [(None, "is not set"), ("", "is not set"), ("fifteen letters", "15 char")])
def test_a_missing_or_short_key_is_refused(monkeypatch, key, problem):
    """The message says how to make a key, and what to do where none is needed, but never the key."""
    monkeypatch.delenv("CROSSLIFT_KEY", raising=False)
    if key is not None:
        monkeypatch.setenv("CROSSLIFT_KEY", key)
    with pytest.raises(
        ConfigError, match=rf"CROSSLIFT_KEY: .*{problem}.*secrets.token_hex.*pseudonymous: true"
    ) as caught:
        read_key()
    assert not key or key not in str(caught.value)


def test_the_id_of_a_key_tells_keys_apart_and_nothing_else():
    """16 hex digits of an HMAC, so that a fingerprint may hold it."""
    assert key_id(b"Jefe") == hmac.new(b"Jefe", b"crosslift-key-id", hashlib.sha256).hexdigest()[:16]
    assert key_id(b"Jefe") != key_id(b"Jeff")
