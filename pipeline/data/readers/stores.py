"""Files in a store of objects or on another machine, by fsspec; keys come from the environment alone."""

import hashlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO

import fsspec

from pipeline.data.readers.files import is_hidden
from pipeline.errors import DataError

# Those that read this machine, or wrap another one, are left out: they would lead past the data folder.
PROTOCOLS = (
    "s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "oss", "oci", "hdfs", "webhdfs", "hf", "http", "https",
    "ftp", "sftp", "ssh",
)  # fmt: skip


@dataclass(frozen=True)
class StoredFile:
    """A file that a URL names."""

    store: Any  # of fsspec
    path: str  # in the store
    shown: str
    local: None = None

    def open(self) -> BinaryIO:
        """Its bytes as a stream."""
        with _told(self.shown):
            stream: BinaryIO = self.store.open(self.path, "rb")
            return stream

    def size(self) -> int:
        """Its bytes, counted."""
        with _told(self.shown):
            return int(self.store.size(self.path) or 0)

    def identity(self) -> str:
        """SHA-256 of its bytes, which are fetched for it: what a store says of them differs from store to store."""
        with _told(self.shown), self.store.open(self.path, "rb") as stream:
            return hashlib.file_digest(io.BufferedReader(stream), "sha256").hexdigest()

    def state(self) -> object:
        """What the store says of it: size, time and tag, where it knows them."""
        with _told(self.shown):
            self.store.invalidate_cache()
            return self.store.ukey(self.path)


def find_stored(url: str) -> tuple[StoredFile, ...]:
    """The files that a URL, a folder or a glob in a store names, sorted by name.

    Raises:
        DataError: the protocol is none of `PROTOCOLS`, its library is not installed, the store cannot be reached, or
            nothing is there.
    """
    protocol = url.partition("://")[0].lower()
    if protocol not in PROTOCOLS or "::" in url:
        raise DataError(
            f"{url}: expected a URL that begins with one of {', '.join(PROTOCOLS)}; a file of this machine is named by "
            "its path below the data folder."
        )
    with _told(url):
        store, path = fsspec.core.url_to_fs(url, use_listings_cache=False)
        if store.isfile(path):
            names = [path]
        elif fsspec.core.has_magic(path):
            names = [name for name in store.glob(path) if store.isfile(name)]
        else:
            names = [name for name in store.find(path) if not is_hidden(name.removeprefix(path).lstrip("/"))]
    if not names:
        raise DataError(f"{url}: nothing is there; check the URL.")
    return tuple(StoredFile(store, name, _shown(protocol, name)) for name in sorted(names))


def _shown(protocol: str, name: str) -> str:
    return name if "://" in name else f"{protocol}://{name}"


@contextmanager
def _told(url: str) -> Iterator[None]:
    """Turn whatever a store's library raises into one message."""
    try:
        yield
    except DataError:
        raise
    except ImportError as error:
        protocol = url.partition("://")[0]
        raise DataError(
            f"{url}: {str(error).splitlines()[0]}; install the library for {protocol}:// beside Crosslift."
        ) from None
    except FileNotFoundError:
        raise DataError(f"{url}: nothing is there; check the URL.") from None
    except Exception as error:  # each library has its own
        told = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise DataError(
            f"{url}: cannot be read ({told}). Keys and addresses of a store stand in the variables of its own library, "
            "such as AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_ENDPOINT_URL."
        ) from None
