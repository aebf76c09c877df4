"""The names of the canonical columns, each written once."""

USER = "user_id"
ITEM = "item_id"
DOMAIN = "domain"
TIMESTAMP = "timestamp"
POSITION = "position"
ORDER = "order_id"
EVENT = "event"
VALUE = "value"
SPLIT = "split"
ROW = "row_id"

TITLE = "title"
CATEGORY = "category"
BRAND = "brand"
PRICE = "price"
IMAGE = "image"

TRAIN, VALID, TEST = "train", "valid", "test"
PARTS = (TRAIN, VALID, TEST)  # the code of a part in a prepared table is its place here
