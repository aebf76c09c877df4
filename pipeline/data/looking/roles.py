"""What a column seems to be, by its name, its values or its place."""

import re
from collections.abc import Mapping, Sequence
from typing import Protocol

from pipeline import columns as c

# Words for a canonical column, the surest first. Case and signs of a name do not count.
WORDS: Mapping[str, tuple[str, ...]] = {
    c.USER: ("user", "customer", "visitor", "reviewer", "member", "client", "buyer", "account", "person", "household",
             "uid", "kunde", "kunden", "nutzer", "cliente", "usuario", "utilisateur", "session", "email", "mail",
             "username", "nickname"),
    c.ITEM: ("item", "product", "parentasin", "asin", "sku", "isbn", "article", "movie", "book", "game", "song",
             "track", "video", "business", "stock", "good", "anime", "recipe", "artikel", "produkt",
             "produit", "producto"),
    c.TIMESTAMP: ("timestamp", "datetime", "time", "ts", "eventtime", "date", "created", "createdat",
                  "orderedat", "tdat"),
    c.EVENT: ("event", "eventtype", "behavior", "behaviour", "behaviortype", "action", "interactiontype"),
    c.POSITION: ("position",),
    c.SPLIT: ("split",),
    c.VALUE: ("rating", "bookrating", "score", "stars", "overall"),
    c.DOMAIN: ("domain", "country", "market", "marketplace", "shop", "store", "site", "platform", "locale"),
    c.TITLE: ("title", "productname", "prodname", "itemname", "name"),
    c.CATEGORY: ("category", "genre", "genres", "categorycode", "maincategory", "producttype",
                 "producttypename", "categories", "categoryid"),
    c.BRAND: ("brand", "manufacturer", "publisher"),
    c.PRICE: ("price", "unitprice"),
    c.IMAGE: ("image", "imageurl"),
}  # fmt: skip
LABELS = ("label", "target", "y", "class", "outcome", "churn", "churned", "fraud", "isfraud", "default", "late",
          "revenue", "purchased", "converted", "conversion", "clicked", "click", "returned", "survived")  # fmt: skip
EVENTS = frozenset({
    "view", "pv", "click", "detail", "cart", "addtocart", "add_to_cart", "fav", "favorite", "wishlist", "buy",
    "purchase", "transaction", "order", "remove_from_cart", "play", "like",
})  # fmt: skip
# Of people, whatever is written there; a product's name is none.
PERSONAL = ("email", "mail", "phone", "mobile", "telephone", "firstname", "lastname", "surname", "fullname", "username",
            "nickname", "reviewername", "customername", "address", "street", "zip", "zipcode", "postalcode", "postcode",
            "birthday", "birthdate", "dateofbirth", "dob", "ip", "ipaddress", "iban", "ssn", "passport")  # fmt: skip
_OF_ONE = ("email", "mail", "username", "nickname")  # of these, what tells one person from another: who has no number
_IDS = ("whole number", "text", "number")
_FIT: Mapping[str, tuple[str, ...]] = {
    c.USER: _IDS, c.ITEM: _IDS, c.TIMESTAMP: ("time",), c.EVENT: ("text",), c.POSITION: ("whole number",),
    c.SPLIT: ("text",), c.VALUE: ("number", "whole number"),
    c.DOMAIN: ("text", "whole number"), c.TITLE: ("text",), c.CATEGORY: ("text", "whole number"), c.BRAND: ("text",),
    c.PRICE: ("number", "whole number"), c.IMAGE: ("text",),
}  # fmt: skip
BY_NAME = "by its name"
_ENDINGS = ("(?:ids?)?", "(?:code|no|nr|key|number|nummer)")  # that only say that it is an id, the surer ones first
_FEW = 20  # domains or kinds of event


class Seen(Protocol):
    """What decides about a column."""

    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def type(self) -> str: ...  # noqa: D102

    @property
    def distinct(self) -> int: ...  # noqa: D102

    @property
    def examples(self) -> Sequence[str]: ...  # noqa: D102

    @property
    def texts(self) -> Sequence[str]: ...  # noqa: D102


def plain(name: str) -> str:
    """A name without case and signs."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def guess_roles(columns: Sequence[Seen], named: bool) -> dict[str, tuple[str, str]]:
    """Canonical name -> column and the reason, for each that some column seems to be.

    Args:
        columns: In the file's order.
        named: Whether the file says their names.
    """
    roles: dict[str, tuple[str, str]] = {}
    free = list(columns)

    def take(role: str, column: Seen, why: str) -> None:
        roles[role] = column.name, why
        free.remove(column)

    for role in WORDS if named else ():
        if found := _by_name(role, free):
            take(role, found, BY_NAME)
    for column in list(free):
        if c.TIMESTAMP not in roles and column.type == "time":
            take(c.TIMESTAMP, column, "by its values")
        elif c.EVENT not in roles and column.texts and EVENTS.issuperset(text.lower() for text in column.texts):
            take(c.EVENT, column, "by its values")
    if not named and {c.TIMESTAMP, c.EVENT} & set(roles):  # a log; of a table that only describes nothing is known
        ids = [column for column in free if column.type in ("whole number", "text") and column.distinct]
        for role, column in zip((c.USER, c.ITEM), ids, strict=False):
            take(role, column, "by its place: nothing in the file says it")
    return roles


def guess_label(columns: Sequence[Seen]) -> str | None:
    """The column that seems to be a label: one that is called so and has few values or says yes or no."""
    for word in LABELS:
        for column in columns:
            if plain(column.name) == word and (column.type == "flag" or 1 < column.distinct <= _FEW):
                return column.name
    yes_or_no = [column for column in columns if column.type == "flag" or column.distinct == 2]
    return next((column.name for column in yes_or_no if re.match(r"is[_A-Z]", column.name)), None)


def is_personal(name: str) -> bool:
    """Whether a column is called like what belongs to a person."""
    word = plain(name)
    return word in PERSONAL or any(word.endswith(one) for one in PERSONAL if len(one) > 4)


def _by_name(role: str, free: Sequence[Seen]) -> Seen | None:
    """The column with the surest word for a role; at the end of a longer name only where ids and times have it."""
    fit = [
        column for column in free
        if column.type in _FIT[role]
        and (not is_personal(column.name) or (role == c.USER and plain(column.name).endswith(_OF_ONE)))
    ]  # fmt: skip
    if role in (c.USER, c.ITEM):  # several words are a list of ids, or a text about something
        fit = [column for column in fit if not any(" " in one for one in column.examples)]
    if role in (c.EVENT, c.DOMAIN, c.SPLIT):
        fit = [column for column in fit if column.distinct <= _FEW]
    endings = _ENDINGS if role in (c.USER, c.ITEM) else ("",)
    for ending in endings:
        names = {re.sub(rf"(?<=.){ending}$", "", plain(column.name)): column for column in reversed(fit)}
        if found := next((names[word] for word in WORDS[role] if word in names), None):
            return found
    if role not in (c.USER, c.ITEM, c.TIMESTAMP):
        return None
    for word in (word for word in WORDS[role] if len(word) > 3):
        for column in fit:
            if re.sub(rf"(?:{'|'.join(endings)})$", "", plain(column.name)).endswith(word):
                return column
    return None
