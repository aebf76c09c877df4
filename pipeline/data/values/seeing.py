"""Pictures at the border: each value becomes the name of what it shows, and those that show nothing are told."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.data.pictures import FORMATS, UnreadError
from pipeline.data.values.place import Place, Read, faults_of, is_text
from pipeline.errors import DataError


def as_picture(values: pa.Array, place: Place) -> Read:
    """The name of each picture [N]: of the bytes that a value holds, or that its text stands for.

    An empty text and no bytes at all are no value.

    Raises:
        DataError: a path leads out of the data folder, or values are neither bytes nor texts.
    """
    assert place.pictures is not None, "who reads pictures says what their texts stand for"
    if pa.types.is_struct(values.type) and values.type.get_field_index("bytes") >= 0:  # as Hugging Face writes them
        values = values.field("bytes")
    if is_text(values):
        values = place.without_null(values)
    elif pa.types.is_binary(values.type) or pa.types.is_large_binary(values.type):
        values = values.cast(pa.large_binary())
    elif not pa.types.is_null(values.type):
        raise DataError(
            f"{place.file}: column {place.column!r}: expected the bytes of pictures, or their paths, got {values.type}."
        )
    different = values.dictionary_encode()
    at = np.asarray(different.indices.fill_null(-1), dtype=np.int64)
    names = np.full(len(different.dictionary) + 1, None, dtype=object)  # the last is of what is missing
    why: dict[str, list[int]] = {}
    for code, value in enumerate(different.dictionary):
        try:
            names[code] = place.pictures.name(value.as_py()) if value.as_py() else None
        except UnreadError as error:
            why.setdefault(str(error), []).append(code)
        except DataError as error:
            row = int(pc.index(different.indices, code).as_py()) + 1
            told = "expected the path of a picture below the data folder." if place.hidden else error
            raise DataError(f"{place.file}: column {place.column!r}, row {row}: {told}") from None
    faults = [(np.isin(at, codes), f"a picture ({', '.join(FORMATS)}), but {told}") for told, codes in why.items()]
    return Read(pa.array(names[at], pa.string()), faults_of(*faults))
