"""User ids replaced by a keyed hash, so that nothing that is written names a person."""

import hmac
import os
from typing import TYPE_CHECKING

from pipeline.errors import ConfigError

if TYPE_CHECKING:
    import pyarrow as pa

KEY = "CROSSLIFT_KEY"
MIN_LENGTH = 16
LENGTH = 32  # hex digits of a pseudonym: 128 bits, so that a billion users do not meet


def read_key() -> bytes:
    """The secret in the environment variable `CROSSLIFT_KEY`; it is never stored.

    Raises:
        ConfigError: it is not set or has fewer than 16 characters.
    """
    key = os.environ.get(KEY, "")
    if len(key) < MIN_LENGTH:
        problem = "is not set" if not key else f"has {len(key)} characters"
        raise ConfigError(
            f"{KEY}: {problem}; expected a secret of at least {MIN_LENGTH} characters, because user ids are replaced "
            "by a keyed hash before anything is written. Make one with `python -c 'import secrets; "
            "print(secrets.token_hex(32))'` and keep it: another key gives other pseudonyms. If the user ids are "
            "pseudonyms already, say `pseudonymous: true` in the scenario."
        )
    return key.encode()


def key_id(key: bytes) -> str:
    """Tells keys apart in a fingerprint without telling anything about the key: 16 hex digits."""
    return hmac.digest(key, b"crosslift-key-id", "sha256").hex()[:16]


def pseudonym(user_id: str, key: bytes) -> str:
    """The first 32 hex digits of HMAC-SHA256(key, user_id)."""
    return hmac.digest(key, user_id.encode(), "sha256").hex()[:LENGTH]


def pseudonymise(user_ids: "pa.ChunkedArray", key: bytes) -> "pa.ChunkedArray":
    """The pseudonym of each id [N] of strings; each different id is hashed once, and no id stays no id."""
    import pyarrow as pa

    encoded = user_ids.combine_chunks().dictionary_encode()
    names = pa.array([pseudonym(user_id, key) for user_id in encoded.dictionary.to_pylist()], pa.string())
    return pa.chunked_array([names.take(encoded.indices)])
