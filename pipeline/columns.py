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

RULE, TABLE = "rule", "table"  # of a row in quarantine: why it is there, and where it was
# beside a row of which a value could not be read: which column, where it stands, what is written there
UNREAD = "unread"
UNREAD_FILE = "unread_file"
UNREAD_ROW = "unread_row"
UNREAD_COLUMN = "unread_column"
UNREAD_VALUE = "unread_value"
UNREAD_EXPECTED = "unread_expected"
UNREADS = (UNREAD, UNREAD_FILE, UNREAD_ROW, UNREAD_COLUMN, UNREAD_VALUE, UNREAD_EXPECTED)

TITLE = "title"
CATEGORY = "category"
BRAND = "brand"
PRICE = "price"
IMAGE = "image"

TRAIN, VALID, TEST = "train", "valid", "test"
PARTS = (TRAIN, VALID, TEST)  # the code of a part in a prepared table is its place here
