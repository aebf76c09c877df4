"""Crosslift look: the guessed form of files, what stands in them, and what they have in common."""

import gzip
import json
import zipfile
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet
from typer.testing import CliRunner

from pipeline import columns as c
from pipeline.cli.app import app
from pipeline.data.looking import heads
from pipeline.data.looking.files import Looked, in_common, look
from pipeline.data.readers.files import LocalFile
from pipeline.errors import DataError


@pytest.fixture
def looked(tmp_path: Path):
    """Give a function that writes a file and looks at it."""

    def write(name: str, content: str | bytes) -> Looked:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return look(LocalFile(path, tmp_path), name)

    return write


def stated(found: Looked) -> dict[str, object]:
    """What a scenario would have to say."""
    return found.form.spec.model_dump(exclude_defaults=True, exclude={"path"})


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.csv", "user_id,item_id\nu1,i1\nu2,i2\n", {}),
        ("a.csv", "userid;productId;ts\nu1;p1;1511544070\nu2;p2;1511544071\n", {"separator": ";"}),
        ("a.tsv", "userid\tproductId\nu1\tp1\n", {}),
        ("a.txt", "userid|productId|n\nu1|p1|7\nu2|p1|7\n", {"separator": "|"}),
        ("a.csv", "user;preis\nu1;1,5\nu2;2,75\n", {"separator": ";", "decimal": ","}),
        ("r.dat", "1::1193::5::978300760\n1::661::3::978302109\n",
         {"separator": "::", "header": False, "names": ("column_1", "column_2", "column_3", "column_4")}),
        ("m.dat", '1::Le "Bon" Café, le (1995)::Drama\n2::Jumanji (1995)::Adventure\n'.encode("cp1252"),
         {"separator": "::", "header": False, "names": ("column_1", "column_2", "column_3"), "quote": "none",
          "encoding": "cp1252"}),
        ("b.csv", '"User-ID";"Title"\n"1";"The \\"old\\" man"\n"2";"x"\n', {"separator": ";", "escape": "\\"}),
        ("a.csv.gz", gzip.compress(b"user_id;item_id;n\nu1;i1;1\n"), {"separator": ";"}),
        ("noending", "user_id,item_id\nu1,i1\n", {"format": "csv"}),
        ("lines", '{"user_id": 1}\n{"user_id": 2}\n', {"format": "jsonl"}),
        ("a.json", '[{"user_id": 1}, {"user_id": 2}]', {}),
        ("a.csv", "user_id,item_id\nu1,i1\n".encode("utf-16"), {}),
    ],
)  # fmt: skip
def test_the_form_is_guessed(looked, name, content, expected):
    """Only what differs from what is so when nothing is said."""
    assert stated(looked(name, content)) == expected


def test_a_zip_names_its_member_and_a_table_of_parquet_itself(tmp_path):
    """The scenario must say which file of the zip; Parquet is seen by its first bytes."""
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("in/rows.tsv", "user_id\titem_id\nu1\ti1\nu2\ti2\n")
    found = look(LocalFile(tmp_path / "a.zip", tmp_path), "a.zip")
    assert stated(found) == {"member": "in/rows.tsv"}
    assert found.form.told["compression"] == "zip"
    assert found.profile.rows == 2
    parquet.write_table(pa.table({"user_id": [1, 2], "when": pa.array([0, 10**9], pa.timestamp("s"))}), tmp_path / "x")
    found = look(LocalFile(tmp_path / "x", tmp_path), "x")
    assert stated(found) == {"format": "parquet"}
    assert [(one.name, one.type) for one in found.profile.columns] == [("user_id", "whole number"), ("when", "time")]
    assert found.profile.last == "2001-09-09T01:46:40+00:00"


LOG = (
    "event_time,event_type,product_id,price,user_id,buyer_email\n"
    "2019-10-01 00:00:00 UTC,view,0044,35.79,541,anna@mail.org\n"
    "2019-10-01 00:00:00 UTC,view,0044,35.79,541,anna@mail.org\n"
    "2019-10-02 00:00:01 UTC,cart,17,,554,\n"
)


def test_what_stands_in_a_log(looked):
    """Roles by names, counts, the range of times, events, repeated rows; what is a person's shows its shape."""
    found = looked("log.csv", LOG).profile
    assert {one.role: one.name for one in found.columns if one.role} == {
        c.TIMESTAMP: "event_time", c.EVENT: "event_type", c.ITEM: "product_id", c.PRICE: "price", c.USER: "user_id",
    }  # fmt: skip
    assert (found.rows, found.users, found.items, found.repeated, found.whole) == (3, 2, 2, 1, True)
    assert (found.first, found.last) == ("2019-10-01T00:00:00+00:00", "2019-10-02T00:00:01+00:00")
    assert found.events == {"view": 2, "cart": 1}
    by_name = {one.name: one for one in found.columns}
    assert by_name["product_id"].examples == ("0044", "17")
    assert by_name["user_id"].examples == ("999",)
    assert by_name["buyer_email"].examples == ("xxxx@xxxx.xxx",)
    assert (by_name["price"].type, by_name["price"].empty, by_name["price"].distinct) == ("number", 1, 1)


@pytest.mark.parametrize(
    ("header", "roles"),
    [
        ("article_id,product_code,prod_name,product_type_no", {c.ITEM: "article_id", c.TITLE: "prod_name"}),
        ("customer_number,sku,rating_number", {c.USER: "customer_number", c.ITEM: "sku"}),
        ("User-ID,ISBN,Book-Rating", {c.USER: "User-ID", c.ITEM: "ISBN", c.VALUE: "Book-Rating"}),
        ("reviewerID,parent_asin,asin", {c.USER: "reviewerID", c.ITEM: "parent_asin"}),
        ("buyer_user_id,candidate_item_ids", {c.USER: "buyer_user_id"}),
    ],
)
def test_names_tell_what_a_column_is(looked, header, roles):
    """The surest word decides; a list of ids is none, and a number of ratings no rating."""
    row = ",".join(
        "1 2 3" if name.endswith("ids") else "x" if name.endswith("name") else "7" for name in header.split(",")
    )
    assert {one.role: one.name for one in looked("a.csv", f"{header}\n{row}\n").profile.columns if one.role} == roles


def test_people_are_not_shown(looked):
    """Names, mails and phones show their shape alone; a product's name is none of a person."""
    rows = "Anna Öz,a@b.org,+49 170 1234567,yes\nBob,c@d.org,+49 30 998877,no\n"
    people = looked("p.csv", f"name,contact,tel,label\n{rows}")
    by_name = {one.name: one for one in people.profile.columns}
    assert by_name["name"].examples == ("Xxxx Xx", "Xxx")
    assert by_name["contact"].examples == ("x@x.xxx",)
    assert by_name["tel"].examples == ("+99 999 9999999", "+99 99 999999")
    assert people.profile.label == "label"
    things = looked("t.csv", "sku,name\n1,Blue Cup\n2,Red Cup\n").profile
    assert things.columns[1].examples == ("Blue Cup", "Red Cup")
    assert things.columns[1].role == c.TITLE


def test_columns_without_names_are_guessed_by_their_place(looked):
    """A log without a header: the time and the event by their values, the first two ids by their place."""
    found = looked("UserBehavior.csv", "1,2268318,2520377,pv,1511544070\n2,2333346,2520771,buy,1511561733\n").profile
    assert [one.role for one in found.columns] == [c.USER, c.ITEM, "", c.EVENT, c.TIMESTAMP]
    assert "nothing in the file says it" in found.columns[0].why
    films = looked("movies.dat", "1::Toy Story (1995)::Comedy\n2::Jumanji (1995)::Adventure\n").profile
    assert [one.role for one in films.columns] == ["", "", ""]


def test_a_shop_of_another_language_and_one_that_knows_people_by_their_mail(looked):
    """German names are known; an address is a user where nothing else is, and shows its shape alone."""
    german = looked("a.csv", "Kunden-Nr.;Artikelnummer;Datum\n007;AB-1;03.04.2023\n008;AB-2;19.05.2023\n").profile
    assert [one.role for one in german.columns] == [c.USER, c.ITEM, c.TIMESTAMP]
    lines = "id,customer email,sku,qty\n1,anna@mail.org,AB-1,2\n2,ben@mail.org,AB-2,1\n"
    email = looked("b.csv", lines).profile.columns[1]
    assert (email.role, email.personal, email.examples) == (c.USER, True, ("xxxx@xxxx.xxx", "xxx@xxxx.xxx"))
    both = looked("c.csv", lines.replace("id,", "customer_id,", 1)).profile
    assert [one.role for one in both.columns][:2] == [c.USER, ""]


def test_columns_without_a_name_are_left_out(looked):
    """A data frame's index stands first without a name, and a comma at the end of each row gives one more."""
    found = looked("a.csv", ",user_id,item_id,\n0,7,a,\n1,8,b,\n").profile
    assert [one.name for one in found.columns] == ["user_id", "item_id"]
    alone = looked("b.csv", ",user,item\n0,a,b\n1,c,d\n").profile  # texts alone look like their names
    assert [one.name for one in alone.columns] == ["user", "item"]
    assert "column_1" in {one.name for one in looked("c.csv", ",5,x\n0,6,b\n1,7,d\n").profile.columns}


def test_dates_with_two_readings_are_told(looked):
    """01/02/2024 may be two days; where no value decides it, the scenario must."""
    found = looked("d.csv", "user_id,item_id,date\n1,2,01/02/2024\n1,3,03/04/2024\n").profile
    assert found.columns[2].type == "time"
    assert "format" in found.columns[2].problem
    assert found.first is None
    short = looked("d.csv", "user_id,item_id,date\n1,2,12/13/10 8:26\n1,3,1/2/11 9:00\n").profile.columns[2]
    assert (short.type, short.role, '"%m/%d/%y"' in short.problem) == ("time", c.TIMESTAMP, True)
    sure = looked("d.csv", "user_id,item_id,date\n1,2,01/02/2024\n1,3,23/04/2024\n").profile
    assert (sure.columns[2].problem, sure.first) == ("", "2024-02-01T00:00:00+00:00")


def test_lines_before_the_names_are_told(looked):
    """They are skipped, and that is a guess."""
    found = looked("a.csv", "export of May\n\nuser_id,item_id,n\nu1,i1,7\nu2,i2,8\n")
    assert stated(found) == {"skip": 2}
    assert "the first 2 lines" in found.form.doubts[0]


def test_a_first_line_that_may_be_a_row_is_told(looked):
    """Where all is text nobody can know, unless the names mean something."""
    assert "first line may be a row" in looked("a.csv", "anna,berlin\nbert,rome\n").form.doubts[0]
    assert looked("a.csv", "user_id,town\nanna,berlin\nbert,rome\n").form.doubts == ()


def test_of_a_large_file_the_first_rows_are_read(looked, monkeypatch):
    """And it is said that they are not all; a row that the border cuts is no row."""
    monkeypatch.setattr(heads, "MOST", 1000)
    rows = "".join(f"u{number:04},i{number:04}\n" for number in range(500))
    found = looked("a.csv.gz", gzip.compress(f"user_id,item_id\n{rows}".encode()))
    assert not found.profile.whole
    assert found.profile.rows == (1000 - len("user_id,item_id\n")) // len("u0000,i0000\n")
    lines = "".join(json.dumps({"user_id": number}) + "\n" for number in range(500))
    for name in ("a.jsonl", "a.json"):
        found = looked(name, lines)
        assert not found.profile.whole
        assert 0 < found.profile.users == found.profile.rows < 100
    found = looked("a.json", f"[{', '.join(lines.splitlines())}]")
    assert (found.profile.whole, found.profile.rows) == (True, 500)


def test_of_many_columns_the_first_are_read(looked):
    """Objects of JSON may have a thousand keys; how many were left is said."""
    found = looked("a.jsonl", json.dumps({"user_id": 7, "more": {f"k{number}": 1 for number in range(300)}}) + "\n")
    assert (len(found.profile.columns), found.inner, found.left) == (99, ("more",), 202)


def test_the_border_of_what_is_read_cuts_no_quotes(looked, monkeypatch):
    """A text of several lines that begins before the border and ends behind it is no row, and no mistake."""
    rows = "".join(f'u{number:04},"fine\nreally ""fine"", {number}\n"\n' for number in range(500))
    for most in range(1000, 1040):
        monkeypatch.setattr(heads, "MOST", most)
        found = looked("a.csv", f"user_id,text\n{rows}").profile
        assert not found.whole
        assert found.rows == found.users
        assert found.columns[1].examples[0] == 'fine\\nreally "fine", 0'
    monkeypatch.setattr(heads, "MOST", 1 << 20)
    assert looked("a.csv", f"user_id,text\n{rows}").profile.rows == 500


def test_ids_in_common_and_where_spellings_hide_them(looked):
    """Of the smaller set of ids, as they are and with each way of treating spellings alike."""
    one = looked("a.csv", "user_id,item_id\n007,A1\n12,B2\n13,C3\n")
    other = looked("b.csv", "user_id,item_id\n7,a1\n12.0,b2\n13,c3\n99,d4\n")
    [users, items] = in_common([one, other])
    assert (users.role, users.common, users.ids, users.alike) == (c.USER, 1, (3, 4), {"zeros": 2, "decimals": 2})
    assert users.share == pytest.approx(1 / 3)
    assert (items.role, items.common, items.alike) == (c.ITEM, 0, {"case": 3})


@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        ("a.csv", "", "the file is empty"),
        ("a.csv.gz", gzip.compress(b"a,b\n1,2\n" * 500)[:-20], "is the file whole"),
        ("a.json", "{'user_id': 'u1', 'items': []}\n", "expected one JSON object on each line"),
        ("a.parquet", "nothing", "expected a whole Parquet file"),
        ("a.csv", '"isbn";"title"\n"1";"a"\n"2";"b"\n"3";"c\\";d""\n"4";"e"\n', r"line 4: expected 2 fields"),
    ],
)
def test_what_is_no_table_is_refused(looked, name, content, match):
    """With what it is instead."""
    with pytest.raises(DataError, match=match):
        looked(name, content)


def test_the_command(tmp_path, monkeypatch):
    """Text for people without control characters and secrets, and one JSON document of the same."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "log.csv").write_text(LOG.replace("view", "vi\x1b[31mew"))
    (tmp_path / "b.csv").write_text("userid,sku\n541.0,44\n554,17\n")
    told = CliRunner().invoke(app, ["look", "log.csv", "b.csv"])
    assert told.exit_code == 0
    assert "\x1b" not in told.stdout
    assert "anna" not in told.stdout
    assert "3 rows" in told.stdout
    assert "user_id in common, 50% of 2; 2 with `user_id: {alike: [decimals]}`" in told.stdout
    [log, other] = json.loads(CliRunner().invoke(app, ["look", "log.csv", "b.csv", "--json"]).stdout)["files"]
    assert (log["file"], log["rows"], log["form"]["separator"], other["users"]) == ("log.csv", 3, ",", 2)
    missing = CliRunner().invoke(app, ["look", "nothing.csv"])
    assert isinstance(missing.exception, DataError)
