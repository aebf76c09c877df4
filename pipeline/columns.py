"""The names of the canonical columns, each written once."""

USER = "user_id"
ITEM = "item_id"
DOMAIN = "domain"
TIMESTAMP = "timestamp"
POSITION = "position"
EVENT = "event"
VALUE = "value"
SPLIT = "split"

TITLE = "title"
CATEGORY = "category"
BRAND = "brand"
PRICE = "price"
IMAGE = "image"

INTERACTIONS = (USER, ITEM, DOMAIN, TIMESTAMP, POSITION, EVENT, VALUE, SPLIT)
ITEMS = (ITEM, DOMAIN, TITLE, CATEGORY, BRAND, PRICE, IMAGE)
REQUIRED = {"interactions": (USER, ITEM, DOMAIN), "items": (ITEM, DOMAIN)}

# Arrow types of the canonical columns; everything not named here is a string.
ARROW_TYPES = {TIMESTAMP: "timestamp[us, tz=UTC]", POSITION: "int64", VALUE: "float64", PRICE: "float64"}

TRAIN, VALID, TEST = "train", "valid", "test"
PARTS = (TRAIN, VALID, TEST)  # the code of a part in a prepared table is its place here
