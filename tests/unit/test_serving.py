"""What a package answers, and to whom."""

import csv
import io
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pipeline import columns as c
from pipeline.cli.predicting import _listed, as_csv
from pipeline.cli.recommending import items_of, recommend
from pipeline.config import HistoryModel
from pipeline.data.pseudonyms import key_id, pseudonym
from pipeline.errors import ConfigError, DataError, StorageError
from pipeline.folders import manifest_of, write_json, written_whole
from pipeline.models.build import build_network
from pipeline.models.items import Catalogue
from pipeline.models.neighbours import ItemKnnRanker, PopularityRanker, UserKnnRanker
from pipeline.models.network_ranker import NetworkRanker
from pipeline.models.ranker import Ranker
from pipeline.models.stack import Stack
from pipeline.past import Histories
from pipeline.rows.interactions.prepared import DomainData, Domains
from pipeline.rows.interactions.requests import top_k
from pipeline.rows.kind import PackageInfo
from pipeline.serving.package import ServedModel, read_example, write_package


def domain(name: str, taken: dict[str, list[str]], items: list[str]) -> DomainData:
    """Make a domain whose users took what is named, all of it in training."""
    users = sorted(taken)
    rows = pd.DataFrame(
        [(users.index(user), items.index(item)) for user, basket in taken.items() for item in basket],
        columns=["user", "item"],
    )
    rows = rows.sort_values(["user", "item"], ignore_index=True).astype("int32")
    rows["part"], rows["kept"] = np.int8(0), True
    counts = np.bincount(rows["item"], minlength=len(items))
    goods = pd.DataFrame({c.ITEM: items, "train_count": counts})
    if name == "films":
        goods[c.TITLE] = [{"f1": "One", "f3": "=SUM(A1)"}.get(item) for item in items]
    return DomainData(name, pd.DataFrame({c.USER: users}), goods, rows)


Fit = Callable[[Histories, Stack], Ranker]


def user_knn(histories: Histories, stack: Stack) -> Ranker:
    return UserKnnRanker.fit(histories, stack, 10)


def item_knn(histories: Histories, stack: Stack) -> Ranker:
    return ItemKnnRanker.fit(histories, stack, neighbours=10, shrinkage=0.0)


def network(histories: Histories, stack: Stack) -> Ranker:
    torch.manual_seed(0)
    catalogues = {name: Catalogue(np.asarray(histories[name].sum(axis=0)).ravel()) for name in stack.names}
    return NetworkRanker.of(build_network(HistoryModel(dim=4, text_buckets=16), catalogues, "films"), "films")


def popularity(histories: Histories, stack: Stack) -> Ranker:
    return PopularityRanker.fit(histories, stack)


FILMS = {"ann": ["f1", "f2"], "bob": ["f2", "f3"], "cat": ["f1", "f3"], "dan": ["f3", "f4"]}
BOOKS = {"ann": ["b1"], "bob": ["b2"], "eve": ["b1", "b2"]}


@pytest.fixture
def domains() -> Domains:
    return Domains((domain("books", BOOKS, ["b1", "b2"]),), domain("films", FILMS, ["f1", "f2", "f3", "f4", "f5"]))


@pytest.fixture
def package(domains: Domains, tmp_path: Path) -> Callable[..., ServedModel]:
    def make(fit: Fit = item_knn, sources: bool = True, **changes: object) -> ServedModel:
        candidate, final = tmp_path / "candidate", tmp_path / "package"
        candidate.mkdir()
        histories = domains.histories(("train", "valid"))
        read = histories if sources else {"films": histories["films"]}
        fit(read, Stack.of(read, "films", 0.5)).save(candidate)
        values = {"scenario": "toy", "lane": "item_knn+source", "target": "films", "sources": ("books",),
                  "pseudonymous": True, "candidate": "x", "data": {}, "code": "1"}  # fmt: skip
        with written_whole(final) as folder:
            write_package(folder, domains, candidate, PackageInfo.model_validate(values | changes))
        return ServedModel.read(final)

    return make


def test_lists_of_ids_in_a_file_are_texts() -> None:
    """With commas between, in quotes where an id has one; what is no such list is refused, without a stack trace."""
    assert _listed('B01, "B,02" ,B03', "history") == ["B01", "B,02", "B03"]
    for text in ("B01\nB02", "x" * 200_000, "['B01', 'B02']", '["B01"]'):
        with pytest.raises(DataError, match="history: expected ids with commas between them"):
            _listed(text, "history")


@pytest.mark.parametrize(("text", "place"), [("B01,,B02", 2), ("B01,B02, ", 3), (",B01", 1)])
def test_an_empty_place_in_a_list_is_refused(text: str, place: int) -> None:
    """Without it, times and kinds of event that stand beside would belong to other things."""
    with pytest.raises(DataError, match=f"history, row 7: expected an id at each place .*, place {place} is empty"):
        _listed(text, "history, row 7")


def test_numbers_in_lists_are_ids() -> None:
    """Of Parquet, JSON lines and Excel they come as such; MLflow wants texts and would cut ids beside a missing one."""
    wanted = ["101", "12"]
    for value in ([101, 12], (101.0, "12"), np.array([101, 12]), np.array([101.0, 12.0])):
        assert _listed(value, "history") == wanted
    assert [_listed(value, "history") for value in (101, 101.0, "", " , ", None, float("nan"), [])] == [
        ["101"], ["101"], None, None, None, None, []]  # fmt: skip
    for value, message in (([1.5], "history: expected a text or a whole number, got float"),
                           (["101", None], "history: expected a text or a number at each place")):  # fmt: skip
        with pytest.raises(DataError, match=message):
            _listed(value, "history")


def test_what_is_in_stock_is_told_in_any_file(tmp_path: Path) -> None:
    """Numbers beside empty cells, and texts with blanks around them, are the ids that they are in tables."""
    pd.DataFrame({c.ITEM: [105, None, 103]}).to_parquet(tmp_path / "stock.parquet")
    (tmp_path / "stock.csv").write_text("item_id\n105\n\n 103 \n", encoding="utf-8")
    for name in ("stock.parquet", "stock.csv"):
        assert items_of(tmp_path / name) == ["105", "103"]


def test_a_known_user_gets_what_the_ranker_says_but_for_what_was_taken(
    package: Callable[..., ServedModel], domains: Domains
) -> None:
    """The answer is the ranker's own order over the items that the user does not have."""
    served = package()
    rows = served.answer(pd.DataFrame({c.USER: ["ann"]}), {"k": 3})
    place = list(domains.users).index("ann")
    scores = served.served.ranker.scores(
        {name: m[[place]] for name, m in domains.histories(("train", "valid")).items()}
    )[0]
    wanted = sorted((item for item in range(5) if item not in (0, 1)), key=lambda item: -scores[item])
    assert rows[c.ITEM].tolist() == [f"f{item + 1}" for item in wanted]
    assert rows["score"].tolist() == pytest.approx([float(scores[item]) for item in wanted])
    assert rows["rank"].tolist() == [1, 2, 3]
    assert rows["served_from"].tolist() == ["model" if score else "popularity" for score in rows["score"]]


def test_who_is_served_from_what(package: Callable[..., ServedModel]) -> None:
    """A known user from the model, also one of the source alone; a stranger from a history, else from popularity."""
    frame = pd.DataFrame({
        c.USER: ["ann", "eve", "zoe", None, "zoe", "zoe"],
        "history": [None, None, ["f1"], None, None, ["nothing", "known"]],
        "source_history": [None, None, None, ["b1", "x"], None, None],
    })  # fmt: skip
    rows = package().answer(frame, {"k": 2}).drop_duplicates("request")
    assert rows["served_from"].tolist() == ["model", "model", "history", "history", "popularity", "popularity"]
    assert rows["ignored"].tolist() == [0, 0, 0, 1, 0, 2]
    assert rows[c.USER].astype(object).where(rows[c.USER].notna(), None).tolist() == [
        "ann",
        "eve",
        "zoe",
        None,
        "zoe",
        "zoe",
    ]


def test_what_the_scenario_calls_alike_is_alike_in_requests(package: Callable[..., ServedModel]) -> None:
    """Users and items are found in each spelling that the tables may have; other settings would serve strangers."""
    frame = pd.DataFrame({c.USER: ["ANN", None], "history": [None, ["F 1", "x"]]})
    rows = package(alike={"user_id": ["case"], "item_id": ["case", "blanks"]}).answer(frame, {"k": 2})
    first = rows.drop_duplicates("request")
    assert first["served_from"].tolist() == ["model", "history"]
    assert (first[c.USER].iloc[0], first["ignored"].tolist()) == ("ANN", [0, 1])
    assert "f1" not in rows.loc[rows["request"] == 1, c.ITEM].tolist()


def test_popularity_is_the_training_count(package: Callable[..., ServedModel]) -> None:
    """A stranger gets the most taken items, with how often they were taken; ties in catalogue order."""
    rows = package().answer(pd.DataFrame({c.USER: ["zoe"]}), {"k": 10})
    assert rows[c.ITEM].tolist() == ["f3", "f1", "f2", "f4", "f5"]
    assert rows["score"].tolist() == [3, 2, 2, 1, 0]


def test_a_history_is_like_the_user_who_has_it(package: Callable[..., ServedModel]) -> None:
    """A stranger with dan's history is served what dan is, and nothing of the history comes back."""
    frame = pd.DataFrame({c.USER: ["dan", None], "history": [[], ["f3", "f4", "f3"]]})
    rows = package().answer(frame, {"k": 5})
    dan, stranger = (rows[rows["request"] == request].reset_index(drop=True) for request in (0, 1))
    assert dan[[c.ITEM, "score"]].equals(stranger[[c.ITEM, "score"]])
    assert not {"f3", "f4"} & set(stranger[c.ITEM])


def test_a_history_adds_to_what_is_known_of_a_user(package: Callable[..., ServedModel]) -> None:
    """What ann did since the model was made counts, and is not recommended again."""
    rows = package().answer(pd.DataFrame({c.USER: ["ann"], "history": [["f3"]]}), {"k": 5})
    assert set(rows[c.ITEM]) == {"f4", "f5"}


def test_titles_stand_where_there_are_any(package: Callable[..., ServedModel]) -> None:
    """An item without title has none, and does not take another's."""
    rows = package().answer(pd.DataFrame({c.USER: ["zoe"]}), {"k": 3})
    assert rows[c.TITLE].astype(object).where(rows[c.TITLE].notna(), None).tolist() == ["=SUM(A1)", "One", None]


SECRET, OTHER = "sixteen letters or more", "another sixteen letters"


@pytest.fixture
def hashed(domains: Domains, package: Callable[..., ServedModel], monkeypatch: pytest.MonkeyPatch) -> ServedModel:
    """Make a package of which the users' ids were hashed; one of them looks like a pseudonym and is none."""
    monkeypatch.delenv("CROSSLIFT_KEY", raising=False)
    baskets = {**{name: FILMS[name] for name in ("ann", "bob", "cat", "dan")}, "17": ["f1"], "ab" * 16: ["f2"]}
    taken = {pseudonym(name, SECRET.encode()): basket for name, basket in baskets.items()}
    monkeypatch.setitem(domains.__dict__, "target", domain("films", taken, ["f1", "f2", "f3", "f4", "f5"]))
    return package(pseudonymous=False, key=key_id(SECRET.encode()))


def first_served(served: ServedModel, *users: object) -> list[str]:
    """Say what the first item of each user is served from."""
    rows = served.answer(pd.DataFrame({c.USER: list(users)}), {"k": 1})
    return [str(value) for value in rows["served_from"]]


def test_plain_user_ids_are_hashed_with_the_key(hashed: ServedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the key that made the data the plain id, the pseudonym, and an id that only looks like one find the user."""
    monkeypatch.setenv("CROSSLIFT_KEY", SECRET)
    users = ("dan", pseudonym("dan", SECRET.encode()), "ab" * 16, "zoe", "cd" * 16)
    assert first_served(hashed, *users) == ["model", "model", "model", "popularity", "popularity"]


@pytest.mark.parametrize(("key", "problem"), [(None, "is not set"), ("", "is not set"), (OTHER, "has the id ")])
def test_without_the_key_that_made_the_data_plain_user_ids_are_refused(
    hashed: ServedModel, monkeypatch: pytest.MonkeyPatch, key: str | None, problem: str
) -> None:
    """Not served from popularity in silence: the message names the variable and both ids, and no user."""
    if key is not None:
        monkeypatch.setenv("CROSSLIFT_KEY", key)
    problem += key_id(key.encode()) if key else ""
    expected = f"with the key of the id {key_id(SECRET.encode())}, and CROSSLIFT_KEY {problem}. Set it to that key"
    with pytest.raises(DataError, match=expected) as told:
        first_served(hashed, "dan")
    assert "dan" not in str(told.value)
    with pytest.raises(DataError, match="CROSSLIFT_KEY"):
        first_served(hashed, pseudonym("dan", SECRET.encode()), None, "dan")


@pytest.mark.parametrize("key", [None, OTHER])
def test_pseudonyms_and_histories_need_no_key(
    hashed: ServedModel, monkeypatch: pytest.MonkeyPatch, key: str | None
) -> None:
    """A known pseudonym is served, an unknown one is a stranger, and who gives a history alone needs no id."""
    if key:
        monkeypatch.setenv("CROSSLIFT_KEY", key)
    assert first_served(hashed, pseudonym("dan", SECRET.encode()), "cd" * 16, None) == ["model", *["popularity"] * 2]
    rows = hashed.answer(pd.DataFrame({"history": [["f3"]]}), {"k": 1})
    assert rows["served_from"].tolist() == ["history"]


def test_whom_the_package_knows_needs_no_sound_key(hashed: ServedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing has to be hashed for a known pseudonym, also where the user has no test rows; for a stranger it has."""
    monkeypatch.setenv("CROSSLIFT_KEY", "short")
    assert first_served(hashed, pseudonym("dan", SECRET.encode())) == ["model"]
    with pytest.raises(ConfigError, match="CROSSLIFT_KEY"):
        first_served(hashed, "cd" * 16)


def test_a_package_that_does_not_say_its_key(
    hashed: ServedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of 0.1: with any key it serves as it did, without one it refuses."""
    path = tmp_path / "package" / "package.json"
    info = json.loads(path.read_text())
    del info["key"]
    path.write_text(json.dumps(info))
    write_json(tmp_path / "package" / "manifest.json", manifest_of(tmp_path / "package"))
    old = ServedModel.read(tmp_path / "package")
    with pytest.raises(DataError, match="with the key of the id unknown, and CROSSLIFT_KEY is not set"):
        first_served(old, "dan")
    monkeypatch.setenv("CROSSLIFT_KEY", SECRET)
    assert first_served(old, "dan") == ["model"]


@pytest.mark.parametrize(
    "ids",
    [
        pd.Series(["17", None]),
        pd.Series([17, 17]),
        pd.Series([17, None]),
        pd.Series([17, None], dtype="Int64"),
        pd.Series([np.int32(17), None], dtype=object),
        pd.Series([17.0, np.nan]),
        pd.Series([np.uint64(17), "zoe"], dtype=object),
        pd.Series(["17", ""]),
    ],
)
def test_whole_numbers_are_user_ids(
    hashed: ServedModel, monkeypatch: pytest.MonkeyPatch, ids: "pd.Series[object]"
) -> None:
    """17 is the user whom the tables call 17, in every type that pandas makes of it beside a missing one."""
    monkeypatch.setenv("CROSSLIFT_KEY", SECRET)
    rows = hashed.answer(pd.DataFrame({c.USER: ids}), {"k": 1})
    assert (rows[c.USER][0], rows["served_from"][0]) == ("17", "model")
    expected = hashed.answer(pd.DataFrame({c.USER: ["17"]}), {"k": 1})
    assert rows[c.ITEM][0] == expected[c.ITEM][0]
    assert rows[c.USER][1] in ("17", "zoe") or pd.isna(rows[c.USER][1])


@pytest.mark.parametrize("value", [17.5, float(2**60), np.inf, True, b"ann", ["ann"], pd.Timestamp(0)])
def test_what_is_no_user_id_is_refused(package: Callable[..., ServedModel], value: object) -> None:
    """Half a number, one that lost digits, and what is neither text nor number; the value is not told."""
    frame = pd.DataFrame({c.USER: pd.Series([value], dtype=object)})
    with pytest.raises(DataError, match=r"user_id: expected a text or a whole number, got \w+; write it as it") as told:
        package().answer(frame, {"k": 1})
    assert "ann" not in str(told.value)


# Whom a ranker of the target alone can say something about: not eve, who took books alone; for her it has no more than
# for anybody.
@pytest.mark.parametrize("fit", [user_knn, item_knn, network])
@pytest.mark.parametrize("sources", [True, False])
def test_model_is_said_only_where_something_is_known(
    package: Callable[..., ServedModel], domains: Domains, fit: Fit, sources: bool
) -> None:
    """No item whose score anybody would get is served from the model, and none with a score of zero."""
    served = package(fit=fit, sources=sources)
    rows = served.answer(pd.DataFrame({c.USER: ["ann", "bob", "cat", "dan", "eve"]}), {"k": 5})
    nobody = served.served.ranker.scores({name: matrix[-1:] for name, matrix in served.served.histories.items()})[0]
    anybody = rows[c.ITEM].map({f"f{place + 1}": float(score) for place, score in enumerate(nobody)})
    known = rows["served_from"] == "model"
    assert not (rows["score"][known] == 0).any()
    assert (rows["score"][known] != anybody[known]).all()
    assert known[rows[c.USER] == "ann"].any()
    eve = rows[rows[c.USER] == "eve"]
    assert (eve["served_from"] == "model").any() == sources
    if not sources and fit is not network:  # these say nothing of her: what is popular, with its counts
        assert eve[c.ITEM].tolist() == ["f3", "f1", "f2", "f4", "f5"]
        assert eve["score"].tolist() == [3, 2, 2, 1, 0]


def test_items_without_a_score_fill_up_by_popularity(package: Callable[..., ServedModel]) -> None:
    """Behind what the model found come others, the most taken first, and they say so."""
    rows = package().answer(pd.DataFrame({"history": [["f4"]]}), {"k": 5})
    assert rows["served_from"].tolist() == ["history", "popularity", "popularity", "popularity"]
    assert rows[c.ITEM].tolist() == ["f3", "f1", "f2", "f5"]
    assert rows["score"].tolist()[1:] == [0, 0, 0]


def test_popularity_that_serves_says_so(package: Callable[..., ServedModel]) -> None:
    """Where the champion is popularity nothing is known of anybody, and its own counts are kept."""
    served = package(fit=popularity)
    rows = served.answer(pd.DataFrame({c.USER: ["ann", "zoe"]}), {"k": 5})
    assert set(rows["served_from"]) == {"popularity"}
    assert rows["score"][rows[c.USER] == "ann"].tolist() == [3, 1, 0]


def test_torch_is_loaded_where_it_is_needed(
    package: Callable[..., ServedModel], tmp_path: Path, run_python: Callable[..., str]
) -> None:
    """A baseline serves without PyTorch; a network brings it, in one thread, and says so in its requirements."""
    package()
    network = tmp_path / "network"
    network.mkdir()
    catalogues = {"films": Catalogue(np.ones(5)), "books": Catalogue(np.ones(2))}
    NetworkRanker.of(build_network(HistoryModel(dim=4, text_buckets=16), catalogues, "films"), "films").save(network)
    code = f"""
import sys, pandas as pd
from pathlib import Path
from pipeline.serving.package import ServedModel
ServedModel.read(Path({str(tmp_path / "package")!r})).answer(pd.DataFrame({{"user_id": ["ann"]}}))
assert "torch" not in sys.modules
from pipeline.models.load import load_ranker
ranker = load_ranker(Path({str(network)!r}))
from pipeline.serving.save import requirements
print(sys.modules["torch"].get_num_threads(), *set(requirements(ranker.needs)) - set(requirements()))
"""
    threads, *more = run_python(code, OMP_NUM_THREADS="3").split()
    assert threads == "1"
    assert len(more) == 1
    assert re.fullmatch(r"torch==[0-9.]+", more[0])


def test_a_network_is_known_by_its_files_alone(tmp_path: Path) -> None:
    """Loading draws no random number, and a file whose weights do not fit is told."""
    catalogues = {"films": Catalogue(np.ones(5)), "books": Catalogue(np.ones(2))}
    ranker = NetworkRanker.of(build_network(HistoryModel(dim=4, text_buckets=16), catalogues, "films"), "films")
    settings, arrays = ranker.state()
    before = torch.get_rng_state()
    NetworkRanker.from_state(settings, arrays)
    assert torch.equal(torch.get_rng_state(), before)
    with pytest.raises(ValueError, match=r"weights of another shape: items.words.weight, items.domains.films.own"):
        NetworkRanker.from_state(settings | {"model": settings["model"] | {"dim": 5}}, arrays)


def test_scores_on_another_catalogue(package: Callable[..., ServedModel]) -> None:
    """Items in another order keep their scores, new ones come last, and new items in a history change nothing."""
    served = package()
    tonight = Domains(
        (domain("books", {**BOOKS, "new": ["b0"]}, ["b0", "b2", "b1"]), domain("games", {"ann": ["g1"]}, ["g1"])),
        domain("films", {**FILMS, "new": ["f0", "f4"]}, ["f0", "f5", "f4", "f3", "f2", "f1"]),
    )
    scores = served.served.on(tonight).scores(tonight.histories(("train", "valid")))
    users = list(tonight.users)
    own = served.served.histories
    for user in ("ann", "dan", "eve"):
        place = int(served.served.users.get_indexer([user])[0])
        known = served.served.ranker.scores({name: matrix[[place]] for name, matrix in own.items()})[0]
        assert scores[users.index(user)].tolist() == [-np.inf, *known[::-1].tolist()]
    alone = served.served.ranker.scores({name: matrix[[-1]] * 0 for name, matrix in own.items()}).shape
    assert alone == (1, 5)
    assert served.answer(pd.DataFrame({"history": [["f4"]]}), {"k": 1})["score"][0] == pytest.approx(
        np.delete(scores[users.index("new")], [0, 2]).max())  # fmt: skip


def test_another_target_is_refused(package: Callable[..., ServedModel], domains: Domains) -> None:
    """A scenario whose target was changed under the same name cannot be compared with its champion."""
    with pytest.raises(ConfigError, match="now names 'books', but the model that serves ranks 'films'"):
        package().served.on(Domains((domains.target,), domains.sources[0]))


def test_what_was_learnt_is_known_by_names(package: Callable[..., ServedModel], domains: Domains) -> None:
    """Rows of another night on a user and an item that were trained on, whatever their places are by then."""
    tonight = Domains(
        domains.sources, domain("films", {**FILMS, "ann": ["f2", "f5"], "new": ["f1"]}, ["f5", "f4", "f3", "f2", "f1"])
    )
    view = tonight.training()["films"]
    users, items = tonight.users.to_numpy()[view.units], tonight.target.items[c.ITEM].to_numpy()[view.label.value]
    known = {(user, item) for user, taken in FILMS.items() for item in taken}
    expected = [(user, item) in known for user, item in zip(users, items, strict=True)]
    assert package().served.learnt.knows(tonight, view).tolist() == expected
    assert not all(expected)


def test_what_a_user_took_in_the_test_is_not_recommended(domains: Domains, tmp_path: Path) -> None:
    """Nor learnt, nor read: all else has the score that it has without; also of who has test rows alone."""
    rows = domains.target.rows
    users, items = domains.target.users[c.USER].tolist(), domains.target.items[c.ITEM].tolist()
    tested = pd.DataFrame({"user": [0, 1], "item": [items.index("f4"), items.index("f5")], "part": 2, "kept": True})
    tested.loc[2] = {"user": len(users), "item": items.index("f2"), "part": 2, "kept": False}
    every = pd.concat([rows, tested.astype(rows.dtypes.to_dict())], ignore_index=True)
    target = replace(domains.target, users=pd.DataFrame({c.USER: [*users, "zoe"]}), rows=every)
    judged = Domains(domains.sources, target)
    candidate = tmp_path / "candidate"
    candidate.mkdir()
    known = judged.histories(("train", "valid"))
    item_knn(known, Stack.of(known, "films", 0.5)).save(candidate)
    info = PackageInfo(scenario="toy", lane="item_knn+source", target="films", sources=("books",), pseudonymous=True,
                       candidate="x", data={}, code="1")  # fmt: skip
    asked = pd.DataFrame({"user_id": ["ann", "bob", "zoe", "cat", None], "history": [None, None, None, ["f4"], ["f4"]]})
    found = {}
    for name, one in (("judged", judged), ("plain", domains)):
        with written_whole(tmp_path / name) as folder:
            write_package(folder, one, candidate, info)
        package = ServedModel.read(tmp_path / name).served
        found[name] = package.answer(asked, {"k": 5}).set_index(["request", "item_id"])
        assert package.learnt.knows(judged, judged.held_out("test")).tolist() == [False, False]
    lost = {(0, "f4"), (1, "f5"), (2, "f2")}
    assert set(found["plain"].index) - set(found["judged"].index) == lost
    left, same = found["plain"].drop(index=list(lost)), found["judged"]
    columns = [name for name in same if name != "rank"]
    pd.testing.assert_frame_equal(same[columns].sort_index(), left[columns].sort_index())


def test_a_package_is_the_same_bytes_again(
    package: Callable[..., ServedModel], domains: Domains, tmp_path: Path
) -> None:
    """Equal inputs give equal files, and the example is the model's own answer."""
    served = package()
    again = tmp_path / "again"
    again.mkdir()
    write_package(again, domains, tmp_path / "candidate", served.info)
    files = sorted(path.name for path in again.iterdir())
    published = {path.name for path in (tmp_path / "package").iterdir()}
    assert files == sorted(published - {"manifest.json", "meta.json"})
    assert all((again / name).read_bytes() == (tmp_path / "package" / name).read_bytes() for name in files)
    example = read_example(again)
    assert [row["served_from"] for row in example["answer"] if row["rank"] == 1] == ["model", "history", "popularity"]


@pytest.mark.parametrize(
    "name",
    ["package.json", "histories.parquet", "items.books.parquet", "ranker.json", "weights.safetensors", "example.json"],
)
@pytest.mark.parametrize("how", ["flipped", "cut", "longer", "gone"])
def test_a_damaged_package_is_refused_by_name(
    package: Callable[..., ServedModel], tmp_path: Path, name: str, how: str
) -> None:
    """One bit is enough, in any file: it is named with what was expected and what to do."""
    package()
    file = tmp_path / "package" / name
    content = file.read_bytes()
    middle = len(content) // 2
    changed = {
        "flipped": content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :],
        "cut": content[:-1],
        "longer": content + b" ",
    }
    file.unlink() if how == "gone" else file.write_bytes(changed[how])
    told = rf"is damaged and is not served: {name}: expected {len(content)} bytes with SHA-256 [0-9a-f]+, found .*"
    with pytest.raises(StorageError, match=told + "Run the scenario again.*crosslift models rollback NAME"):
        ServedModel.read(tmp_path / "package")


@pytest.mark.parametrize(("name", "content"), [("manifest.json", "{"), ("manifest.json", "[]"), ("more.txt", "x")])
def test_a_package_is_its_manifest(
    package: Callable[..., ServedModel], tmp_path: Path, name: str, content: str
) -> None:
    """Without a readable manifest nothing is known of a package, and a file that it does not name is none of it."""
    package()
    (tmp_path / "package" / name).write_text(content, encoding="utf-8")
    with pytest.raises(StorageError, match=f"is damaged and is not served: .*{name}: "):
        ServedModel.read(tmp_path / "package")


@pytest.mark.parametrize(
    ("frame", "k", "message"),
    [
        (pd.DataFrame({"user": ["ann"]}), 5, "of the columns user_id, history, .*, candidates, categories, got user"),
        (pd.DataFrame({c.USER: ["ann"]}), 0, "expected at least 1 item to recommend, got 0"),
        (pd.DataFrame({c.USER: []}), 5, "expected at least one row, got none"),
        (pd.DataFrame({"history": ["f1"]}), 5, "history: expected a list of item ids in each row, got a string"),
        (pd.DataFrame({"history": [[1]]}), 5, r"history: expected a list of item ids \(strings\) or nothing"),
        (pd.DataFrame({"source_history": [7]}), 5, r"source_history: expected a list of item ids \(strings\)"),
    ],
)  # fmt: skip
def test_a_wrong_request_is_told(
    package: Callable[..., ServedModel], frame: pd.DataFrame, k: int, message: str
) -> None:
    """A request that cannot be answered says what was expected."""
    with pytest.raises(DataError, match=message):
        package().answer(frame, {"k": k})


@settings(deadline=None, max_examples=60)
@given(hnp.arrays(np.float32, st.tuples(st.integers(1, 5), st.integers(1, 8)),
                  elements=st.sampled_from([0.0, 1.0, 2.5, -np.inf])), st.integers(1, 10))  # fmt: skip
def test_top_k_is_a_stable_sort(scores: np.ndarray, k: int) -> None:  # type: ignore[type-arg]
    """Any row: the first k of a stable sort by falling score, without minus infinity."""
    rows, places, values = top_k(scores, k)
    for row in range(len(scores)):
        wanted = [int(i) for i in np.argsort(-scores[row], kind="stable")[:k] if np.isfinite(scores[row, i])]
        assert places[rows == row].tolist() == wanted
        assert values[rows == row].tolist() == scores[row, wanted].tolist()
    assert (np.diff(rows) >= 0).all()


def test_formula_cells_are_defused() -> None:
    """A title that a spreadsheet would run gets an apostrophe; numbers stay numbers."""
    titles = ["=1+1", "+1", "-1", "@x", "\tx", "\rx", "plain", "a=b"]
    lines = as_csv(pd.DataFrame([{"title": title, "score": -1.5} for title in titles]))
    cells = [row["title"] for row in csv.DictReader(io.StringIO(lines, newline=""))]
    assert [cell[0] for cell in cells] == ["'"] * 6 + ["p", "a"]
    assert lines.count("-1.5") == len(titles)


def test_a_recommendation_needs_someone() -> None:
    """Neither a user nor a history: nothing to go by."""
    with pytest.raises(DataError, match="expected a user id or a history of item ids, got neither"):
        recommend(Path("nowhere"))


def test_an_answer_names_the_things_of_the_history_that_made_it(package: Callable[..., ServedModel]) -> None:
    """Of a known user also what was taken in the source; what anybody would get has no reason."""
    served = package()
    frame = pd.DataFrame({c.USER: ["ann", None, None], "history": [[], ["f3", "nowhere"], []]})
    plain, told = served.answer(frame), served.answer(frame, {"explain": 2})
    assert told.drop(columns="explanation").equals(plain)
    by = told.set_index(["request", c.ITEM])["explanation"]
    assert re.fullmatch(r'(f1 "One"|f2|books: b1) \+[\d.]+; (f1 "One"|f2|books: b1) \+[\d.]+', by[0, "f3"])
    assert re.fullmatch(r'f3 "=SUM\(A1\)" \+[\d.]+', by[1, "f2"])
    assert (told.loc[told["served_from"] == "popularity", "explanation"] == "").all()
    assert (told["served_from"] == "popularity").any()
    with pytest.raises(DataError, match="0 for none, got -1"):
        served.answer(frame, {"explain": -1})


def test_only_candidates_are_answered_and_never_what_was_taken(package: Callable[..., ServedModel]) -> None:
    """The others keep their order and their scores."""
    served = package()
    frame = pd.DataFrame({c.USER: ["ann", "ann", "ann"], "candidates": [None, ["f5", "f4", "f1"], []]})
    rows = served.answer(frame)
    every, some = (rows[rows["request"] == place].set_index(c.ITEM)["score"] for place in (0, 1))
    assert list(some.index) == [item for item in every.index if item in ("f4", "f5")]
    assert some.to_dict() == every[some.index].to_dict()
    assert not (rows["request"] == 2).any()


@pytest.mark.filterwarnings("ignore:.*Any type hint:UserWarning")  # MLflow of its own, while it is imported
def test_mlflow_leaves_a_list_with_a_gap_as_it_is() -> None:
    """An array of texts, one of them missing, it would cut to first letters; so what reads the list can refuse it."""
    from mlflow.models.utils import _enforce_schema

    from pipeline.serving.save import signature

    given = pd.DataFrame({"history": [["first", None], ["second"], None]})
    known = signature({"history": "texts"}, {}, [{"item_id": "a"}]).inputs
    assert _enforce_schema(given, known)["history"].tolist() == given["history"].tolist()
