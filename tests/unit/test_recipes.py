"""docs/recipes.md: each scenario is read from the page and ingests a small file in exactly its publisher's form."""

import gzip
import json
import re
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet

from pipeline import columns as c
from pipeline.config import Options
from pipeline.data.looking.checking import check_tables
from pipeline.data.tables import KINDS
from pipeline.folders import Home
from pipeline.runs.run import Run
from pipeline.scenarios import check_file
from pipeline.steps.ingest import ingest
from tests.reading import workbook

PAGE = (Path(__file__).parents[2] / "docs" / "recipes.md").read_text(encoding="utf-8")
RECIPES = dict(re.findall(r"^```yaml\nname: (\w+)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL))
Rows = list[tuple[Any, ...]]


def lines(*objects: Any) -> str:
    """JSON lines."""
    return "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in objects)


def review(user: str, item: str, stars: float, time: int) -> dict[str, Any]:
    """One of Amazon, 2023."""
    return {
        "rating": stars, "title": "Fine, \"really\"", "text": "Two\nlines", "asin": f"{item}X", "parent_asin": item,
        "images": [{"small_image_url": "https://m.example/a.jpg", "attachment_type": "IMAGE"}] if stars > 4 else [],
        "user_id": user, "timestamp": time, "helpful_vote": 0, "verified_purchase": True,
    }  # fmt: skip


def meta(item: str, title: str | None, categories: list[str], price: Any) -> dict[str, Any]:
    """What Amazon says of a product; `details` differ from one to the next."""
    return {
        "main_category": "Books", "title": title, "average_rating": 4.5, "rating_number": 12, "features": [],
        "description": ["a", "b"], "price": price, "images": [], "videos": [], "store": "Some Author (Author)",
        "categories": categories, "details": {"Publisher": "X", f"Only {item}": "1"}, "parent_asin": item,
        "bought_together": None,
    }  # fmt: skip


def game(code: int, name: str, ever: int, lately: int) -> dict[str, Any]:
    """One of a library of Steam."""
    return {"item_id": str(code), "item_name": name, "playtime_forever": ever, "playtime_2weeks": lately}


def library(user: str, *games: dict[str, Any]) -> str:
    """A line of Steam's file, which is what Python prints."""
    url = f"http://steamcommunity.com/profiles/{user}"
    return (
        repr({"user_id": user, "items_count": len(games), "steam_id": user, "user_url": url, "items": list(games)})
        + "\n"
    )


FILES: dict[str, dict[str, str | bytes]] = {
    "amazon_2023": {
        "amazon-2023/Books.jsonl.gz": gzip.compress(
            lines(review("AE1", "B0A", 5.0, 1588687728923), review("AE2", "0001", 3.0, 1588615855070)).encode()
        ),
        "amazon-2023/Movies_and_TV.jsonl.gz": gzip.compress(lines(review("AE1", "B0M", 4.0, 1589665266052)).encode()),
        "amazon-2023/meta_Books.jsonl.gz": gzip.compress(
            lines(meta("B0A", "Käse", ["Books", "Cooking"], 13.49), meta("0001", None, [], "from 14.99")).encode()
        ),
        "amazon-2023/meta_Movies_and_TV.jsonl.gz": gzip.compress(
            lines(meta("B0M", "A Film", ["Movies & TV"], None)).encode()
        ),
    },
    "movielens_1m": {
        "ml-1m/ratings.dat": (
            "1::1193::5::978300760\n1::661::3::978302109\n2::73::4::978298413\n2::1193::1::978299000\n"
        ),
        "ml-1m/movies.dat": (
            '1193::One Flew "Over", the (1975)::Drama\n661::James: a Peach (1996)::Horror|Musical\n'
            "73::Misérables, Les (1995)::Drama|Musical\n5::Comedy, A (1995)::Comedy\n"
        ).encode("latin-1"),
    },
    "movielens_100k": {
        "ml-100k/u.data": "196\t242\t3\t881250949\n186\t302\t3\t891717742\n22\t242\t1\t878887116\n",
        "ml-100k/u.user": "22|25|M|writer|40206\n186|39|F|executive|00000\n196|49|M|writer|55105\n",
    },
    "retailrocket": {
        "retailrocket/events.csv": (
            "timestamp,visitorid,event,itemid,transactionid\n1433221332117,257597,view,355908,\n"
            "1433224214164,992329,view,248676,\n1433221999827,111016,addtocart,318965,\n"
            "1433222276276,257597,transaction,355908,4000\n"
        ),
        "retailrocket/item_properties_part1.csv": (
            "timestamp,itemid,property,value\n1435460400000,355908,categoryid,1338\n"
            "1441508400000,355908,888,1116713 960601 n277.200\n"
        ),
        "retailrocket/item_properties_part2.csv": (
            "timestamp,itemid,property,value\n1442113200000,355908,categoryid,209\n1442113200000,248676,categoryid,7\n"
            "1442113200000,1,categoryid,8\n"
        ),
    },
    "taobao": {
        "taobao/UserBehavior.csv": (
            "1,2268318,2520377,pv,1511544070\n1,2333346,2520771,pv,1511561733\n1,2333346,2520771,buy,1511561933\n"
            "2,2268318,2520377,cart,1511572885\n"
        ),
    },
    "yoochoose": {
        "yoochoose/yoochoose-clicks.dat": (
            "1,2014-04-07T10:51:09.277Z,214536502,0\n1,2014-04-07T10:54:09.868Z,214536500,S\n"
        ),
        "yoochoose/yoochoose-buys.dat": "1,2014-04-07T18:44:58.314Z,214537888,12462,1\n",
    },
    "book_crossing": {
        "bookcrossing/BX-Book-Ratings.csv": (
            '"User-ID";"ISBN";"Book-Rating"\r\n"276725";"034545104X";"0"\r\n"276726";"0155061224";"5"\r\n'
            '"276726";"078946697X";"0"\r\n"276727";"034545104X";"7"\r\n"276728";"9 Ümlaut";"3"\r\n'
            '"276729";"\\"0521795028\\"";"6"\r\n'
        ).encode("latin-1"),
        "bookcrossing/BX-Books.csv": (
            '"ISBN";"Book-Title";"Book-Author";"Year-Of-Publication";"Publisher"\r\n'
            '"034545104X";"Flesh Tones: A Novel &amp; more";"M. J. Rose";"2002";"Ballantine Books"\r\n'
            '"0155061224";"The \\"Rites\\" of Passage";"Jüdith Rae";"2001";"Heinle"\r\n'
            '"078946697X";"Creating the Men (Level 4)\\";Michael T"";"2000";"DK Publishing Inc";"http://x"\r\n'
        ).encode("latin-1"),
    },
    "online_retail": {
        "online-retail/Online Retail.xlsx": workbook(
            Online_Retail=[
                ["InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID",
                 "Country"],
                [536365, "85123A", "WHITE HANGING HEART", 6, (40513.25,), 2.55, 17850.0, "United Kingdom"],
                [536366, "85123a", "WHITE HANGING HEART", 2, (40513.5,), 2.55, 17851.0, "United Kingdom"],
                [536367, 22728, "ALARM CLOCK", 24, (40514.0,), 3.75, 12662.0, "Germany"],
                [536368, 22728, "ALARM CLOCK", 1, (40514.0,), 3.75, None, "Germany"],
                ["C536379", "D", "Discount", -1, (40514.0,), 27.5, 14527.0, "United Kingdom"],
                [536370, 22727, None, 1, (40514.0,), 3.75, 12583.0, "France"],
            ]
        ),
    },
    "instacart": {
        "instacart/orders.csv": (
            "order_id,user_id,eval_set,order_number,order_dow,order_hour_of_day,days_since_prior_order\n"
            "2539329,1,prior,1,2,08,\n2398795,1,prior,2,3,07,15.0\n17,36855,test,5,6,15,1.0\n1187899,1,train,11,4,08,14.0\n"
        ),
        "instacart/order_products__prior.csv": (
            "order_id,product_id,add_to_cart_order,reordered\n2539329,196,1,0\n2539329,14084,2,0\n2398795,196,1,1\n"
        ),
        "instacart/order_products__train.csv": "order_id,product_id,add_to_cart_order,reordered\n1187899,25133,4,0\n",
        "instacart/products.csv": (
            'product_id,product_name,aisle_id,department_id\n196,"Milk, ""Organic"" Whole",84,16\n'
            "14084,Dog Biscuits,40,8\n25133,Cheese Sticks,21,16\n5,Rum,1,5\n"
        ),
        "instacart/departments.csv": "department_id,department\n16,dairy eggs\n8,pets\n5,alcohol\n",
    },
    "hm": {
        "hm/transactions_train.csv": (
            "t_dat,customer_id,article_id,price,sales_channel_id\n"
            "2018-09-20,000058a12d5b43e6,0663713001,0.0508305084745762,2\n"
            "2018-09-21,000058a12d5b43e6,0505221004,0.0152372881355932,1\n"
            "2018-09-21,00007d2de826758b,0108775015,0.0152372881355932,1\n"
        ),
        "hm/articles.csv": (
            "article_id,product_code,prod_name,product_type_no,product_type_name,index_group_name,detail_desc\n"
            '0663713001,0663713,Atlanta Push Body,283,Underwear body,Ladieswear,"Lace, soft."\n'
            "0505221004,0505221,Jade Denim,252,Trousers,Menswear,\n0108775015,0108775,Strap top,253,Vest top,Sport,x\n"
        ),
    },
    "yelp": {
        "yelp/yelp_academic_dataset_review.json": lines(
            {"review_id": "KU_O5udG", "user_id": "mh_-eMZ6", "business_id": "XQfwVwDr", "stars": 3.0, "useful": 0,
             "text": "So,\nso", "date": "2018-07-07 22:09:11"},
            {"review_id": "BiTunyQ7", "user_id": "OyoGAe7O", "business_id": "7ATYjTIg", "stars": 5.0, "useful": 1,
             "text": "✓", "date": "2012-01-03 15:28:18"},
            {"review_id": "x", "user_id": "y", "business_id": "z", "stars": 1.0, "useful": 1, "text": "", "date":
             "2012-01-03 15:28:18"},
        ),
        "yelp/yelp_academic_dataset_business.json": lines(
            {"business_id": "XQfwVwDr", "name": "Turning \"Point\"", "state": "PA", "stars": 4.5,
             "attributes": {"WiFi": "u'free'"}, "categories": "Cafes, Tea", "hours": {"Monday": "7:0-20:0"}},
            {"business_id": "7ATYjTIg", "name": "Zaika", "state": "DE", "stars": 4.0, "attributes": None,
             "categories": None, "hours": None},
            {"business_id": "z", "name": "Z", "state": "AZ", "stars": 4.0, "attributes": None, "categories": "Z",
             "hours": None},
        ),
    },
    "steam": {
        "steam/australian_users_items.json.gz": gzip.compress(
            (
                library("7656", game(10, "Counter-Strike", 6, 0), game(20, "Tom's {Tale}: \"x\", y", 0, 0))
                + library("js41637", game(30, "Sid Meier's Civ", 500, 12)) + library("nobody")
            ).encode()
        ),
    },
    "rees46": {
        "rees46/2019-Oct.csv.gz": gzip.compress(
            b"event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session\n"
            b"2019-10-01 00:00:00 UTC,view,44600062,2103807459595387724,,shiseido,35.79,541312140,72d76fde\n"
            b"2019-10-01 00:01:00 UTC,cart,1004856,2053013555631882655,electronics.smartphone,samsung,130,541312140,a\n"
            b"2019-10-01 00:02:00 UTC,purchase,1004856,2053013555631882655,electronics.smartphone,samsung,130.76,2,b\n"
            b"2019-10-01 00:03:00 UTC,purchase,9,205,kids.toys,,10.00,541312140,c\n"
            b"2019-10-01 00:04:00 UTC,purchase,8,205,,,10.00,541312140,c\n"
        ),
    },
}  # fmt: skip

# (domain, table) -> rows by the canonical columns that the table has, but for the domain
EXPECTED: dict[str, dict[tuple[str, str], Rows]] = {
    "amazon_2023": {
        ("books", "interactions"): [
            ("AE1", "B0A", "2020-05-05T14:08:48.923000+00:00", 5.0),
            ("AE2", "0001", "2020-05-04T18:10:55.070000+00:00", 3.0),
        ],
        ("films", "interactions"): [("AE1", "B0M", "2020-05-16T21:41:06.052000+00:00", 4.0)],
        ("books", "items"): [
            ("B0A", "Käse", "Books Cooking", "Some Author (Author)", 13.49),
            ("0001", None, None, "Some Author (Author)", None),
        ],
        ("films", "items"): [("B0M", "A Film", "Movies & TV", "Some Author (Author)")],
    },
    "movielens_1m": {
        ("drama", "interactions"): [
            ("1", "1193", "2000-12-31T22:12:40+00:00", 5.0), ("2", "1193", "2000-12-31T21:43:20+00:00", 1.0),
            ("2", "73", "2000-12-31T21:33:33+00:00", 4.0),
        ],
        ("horror", "interactions"): [("1", "661", "2000-12-31T22:35:09+00:00", 3.0)],
        ("drama", "items"): [
            ("1193", 'One Flew "Over", the (1975)', "Drama"), ("73", "Misérables, Les (1995)", "Drama Musical"),
        ],
        ("horror", "items"): [("661", "James: a Peach (1996)", "Horror Musical")],
    },
    "movielens_100k": {
        ("men", "interactions"): [
            ("196", "242", "1997-12-04T15:55:49+00:00", 3.0), ("22", "242", "1997-11-07T07:18:36+00:00", 1.0),
        ],
        ("women", "interactions"): [("186", "302", "1998-04-04T19:22:22+00:00", 3.0)],
    },
    "retailrocket": {
        ("views", "interactions"): [
            ("257597", "355908", "2015-06-02T05:02:12.117000+00:00", "view"),
            ("992329", "248676", "2015-06-02T05:50:14.164000+00:00", "view"),
        ],
        ("purchases", "interactions"): [("257597", "355908", "2015-06-02T05:17:56.276000+00:00", "transaction")],
        ("views", "items"): [("355908", "category 209"), ("248676", "category 7")],
        ("purchases", "items"): [("355908", "category 209")],
    },
    "taobao": {
        ("views", "interactions"): [
            ("1", "2268318", "2017-11-24T17:21:10+00:00"), ("1", "2333346", "2017-11-24T22:15:33+00:00"),
        ],
        ("purchases", "interactions"): [("1", "2333346", "2017-11-24T22:18:53+00:00")],
    },
    "yoochoose": {
        ("clicks", "interactions"): [
            ("1", "214536502", "2014-04-07T10:51:09.277000+00:00"),
            ("1", "214536500", "2014-04-07T10:54:09.868000+00:00"),
        ],
        ("purchases", "interactions"): [("1", "214537888", "2014-04-07T18:44:58.314000+00:00", 1.0)],
    },
    "book_crossing": {
        ("in_hand", "interactions"): [("276725", "034545104X", 0.0), ("276726", "078946697X", 0.0)],
        ("rated", "interactions"): [
            ("276726", "0155061224", 5.0), ("276727", "034545104X", 7.0), ("276728", "9 Ümlaut", 3.0),
            ("276729", '\\"0521795028\\"', 6.0),
        ],
        ("in_hand", "items"): [
            ("034545104X", "Flesh Tones: A Novel &amp; more"), ("078946697X", 'Creating the Men (Level 4)";Michael T"'),
        ],
        ("rated", "items"): [
            ("034545104X", "Flesh Tones: A Novel &amp; more"), ("0155061224", 'The "Rites" of Passage'),
        ],
    },
    "online_retail": {
        ("uk", "interactions"): [
            ("17850", "85123A", "2010-12-01T06:00:00+00:00", 6.0),
            ("17851", "85123A", "2010-12-01T12:00:00+00:00", 2.0),
        ],
        ("germany", "interactions"): [("12662", "22728", "2010-12-02T00:00:00+00:00", 24.0)],
        ("uk", "items"): [("85123A", "WHITE HANGING HEART")],
        ("germany", "items"): [("22728", "ALARM CLOCK")],
    },
    "instacart": {
        ("dairy_eggs", "interactions"): [("1", "196", 1001), ("1", "196", 2001), ("1", "25133", 11004)],
        ("pets", "interactions"): [("1", "14084", 1002)],
        ("dairy_eggs", "items"): [("196", 'Milk, "Organic" Whole'), ("25133", "Cheese Sticks")],
        ("pets", "items"): [("14084", "Dog Biscuits")],
    },
    "hm": {
        ("ladieswear", "interactions"): [("000058a12d5b43e6", "0663713001", "2018-09-20T00:00:00+00:00")],
        ("menswear", "interactions"): [("000058a12d5b43e6", "0505221004", "2018-09-21T00:00:00+00:00")],
        ("ladieswear", "items"): [("0663713001", "Atlanta Push Body", "Underwear body")],
        ("menswear", "items"): [("0505221004", "Jade Denim", "Trousers")],
    },
    "yelp": {
        ("pennsylvania", "interactions"): [("mh_-eMZ6", "XQfwVwDr", "2018-07-07T22:09:11+00:00", 3.0)],
        ("delaware", "interactions"): [("OyoGAe7O", "7ATYjTIg", "2012-01-03T15:28:18+00:00", 5.0)],
        ("pennsylvania", "items"): [("XQfwVwDr", 'Turning "Point"', "Cafes, Tea")],
        ("delaware", "items"): [("7ATYjTIg", "Zaika")],
    },
    "steam": {
        ("library", "interactions"): [("7656", "10", 6.0), ("7656", "20", 0.0)],
        ("played", "interactions"): [("js41637", "30", 500.0)],
    },
    "rees46": {
        ("electronics", "interactions"): [
            ("541312140", "1004856", "2019-10-01T00:01:00+00:00", "cart"),
            ("2", "1004856", "2019-10-01T00:02:00+00:00", "purchase"),
        ],
        ("kids", "interactions"): [("541312140", "9", "2019-10-01T00:03:00+00:00", "purchase")],
        ("electronics", "items"): [("1004856", "electronics smartphone", "samsung")],
        ("kids", "items"): [("9", "kids toys")],
    },
}  # fmt: skip


def test_there_are_thirteen_and_each_is_tried() -> None:
    """A recipe that no test reads may be wrong."""
    assert set(RECIPES) == set(FILES) == set(EXPECTED)
    assert len(RECIPES) == 13


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_recipe_reads_what_the_publisher_ships(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each row of the snapshot, in each domain, is the one that was written by hand."""
    for path, content in FILES[name].items():
        (tmp_path / "data" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "data" / path).write_bytes(content if isinstance(content, bytes) else content.encode())
    monkeypatch.setenv("CROSSLIFT_DATA", str(tmp_path / "data"))
    (tmp_path / f"{name}.yaml").write_text(f"name: {name}\n{RECIPES[name]}", encoding="utf-8")
    scenario = check_file(tmp_path / f"{name}.yaml")
    assert scenario.tables
    assert not check_tables(scenario.tables, KINDS.__getitem__, (tmp_path / "data").resolve(), ()).problems
    run = Run.start(Home(tmp_path / "home"), "one", scenario, Options())
    found = {}
    for domain, result in ingest(run).items():
        for path in run.path(result).glob("*.parquet"):
            found[domain, path.stem] = parquet.read_table(path).drop_columns([c.DOMAIN]).to_pylist()
    assert {key: sorted(map(told, rows), key=str) for key, rows in found.items()} == {
        key: sorted(rows, key=str) for key, rows in EXPECTED[name].items()
    }


def told(row: dict[str, Any]) -> tuple[Any, ...]:
    """A row as it is written above."""
    return tuple(value.isoformat() if isinstance(value, datetime) else value for value in row.values())
