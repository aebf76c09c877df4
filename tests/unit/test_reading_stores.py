"""Files in a store are read like files of this machine; what a store is asked for cannot lead back to it."""

import io
import zipfile
from collections.abc import Iterator
from typing import Any

import boto3
import pyarrow as pa
import pytest
from moto.moto_server.threaded_moto_server import ThreadedMotoServer
from pyarrow import parquet

from pipeline.config import Tables
from pipeline.data.readers.inputs import Input, inputs_of
from pipeline.data.readers.stores import find_stored
from pipeline.data.tables import KINDS
from pipeline.errors import DataError

CSV = b"user_id,item_id\n007,a\n8,b\n"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """Start a server that speaks S3 on a free port of this machine."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(server: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Give an empty bucket; its keys and its address stand in the environment alone."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", server)
    made = boto3.resource("s3").Bucket("shop")
    made.create()
    made.objects.all().delete()
    return made


def inputs(tmp_path: Any, path: str, **more: Any) -> Input:
    """Give the one table of interactions."""
    table = {"path": path, "constants": {"domain": "d"}, **more}
    [one] = inputs_of(Tables.model_validate({"interactions": [table]}), KINDS.__getitem__, tmp_path, ())
    return one


def test_a_store_is_read_like_a_folder(bucket: Any, tmp_path: Any) -> None:
    """One object, a glob, a folder with partitions, a packed one, and Parquet."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a.csv", CSV)
    table = io.BytesIO()
    parquet.write_table(pa.table({"user_id": ["007", "8"], "item_id": ["a", "b"]}), table)
    for name, content in {
        "a.csv": CSV, "days/country=de/1.csv": CSV, "days/country=fr/1.csv": CSV, "days/_SUCCESS": b"",
        "a.zip": packed.getvalue(), "a.parquet": table.getvalue(),
    }.items():  # fmt: skip
        bucket.put_object(Key=name, Body=content)
    whole = inputs(tmp_path, "s3://shop/a.csv").read()[0].to_pydict()
    assert whole == {"user_id": ["007", "8"], "item_id": ["a", "b"], "domain": ["d", "d"]}
    for path in ("s3://shop/a.zip", "s3://shop/a.parquet", "s3://shop/a.c*"):
        assert [one.to_pydict() for one in inputs(tmp_path, path).read()] == [whole]
    parts = inputs(tmp_path, "s3://shop/days", columns={"domain": "country"}, constants={}).read()
    assert [part["domain"].to_pylist() for part in parts] == [["de", "de"], ["fr", "fr"]]


def test_the_bytes_decide_the_fingerprint(bucket: Any, tmp_path: Any) -> None:
    """Not the name, nor when they were put there."""
    for name in ("a.csv", "b.csv"):
        bucket.put_object(Key=name, Body=CSV)
    first = inputs(tmp_path, "s3://shop/a.csv").fingerprint
    assert inputs(tmp_path, "s3://shop/b.csv").fingerprint == first
    bucket.put_object(Key="b.csv", Body=CSV + b"9,c\n")
    assert inputs(tmp_path, "s3://shop/b.csv").fingerprint != first


def test_an_object_that_changes_while_it_is_read_is_refused(bucket: Any, tmp_path: Any) -> None:
    """Else the fingerprint would speak of other bytes than the table."""
    bucket.put_object(Key="a.csv", Body=CSV)
    one = inputs(tmp_path, "s3://shop/a.csv")
    assert one.fingerprint
    bucket.put_object(Key="a.csv", Body=CSV + b"9,c\n")
    with pytest.raises(DataError, match=r"^s3://shop/a\.csv: changed while it was read"):
        one.read()


@pytest.mark.parametrize("url", ["s3://shop/no.csv", "s3://shop/no*.csv", "s3://no-such-bucket/a.csv"])
def test_nothing_there_is_told(bucket: Any, tmp_path: Any, url: str) -> None:
    """In one line that holds no key."""
    with pytest.raises(DataError, match=r"^s3://[^ ]+: (nothing is there|cannot be read)") as caught:
        inputs(tmp_path, url).read()
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    "url",
    ["file:///etc/passwd", "local:///etc/passwd", "zip://a.csv::file:///etc/a.zip", "simplecache::s3://shop/a.csv",
     "s3://shop/a::file:///etc/passwd", "dir:///etc", "memory://a", "reference://x", "git:///etc:a"],
)  # fmt: skip
def test_a_url_that_leads_back_is_refused(url: str) -> None:
    """The data folder is the only one that is read."""
    with pytest.raises(DataError, match=r"expected a URL that begins with one of s3, "):
        find_stored(url)
