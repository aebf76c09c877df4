"""Pictures: what a value stands for, whether it can be read, and how it is seen: upright, in colours, on white."""

import base64
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from hashlib import blake2b
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Self

from pipeline.data.readers.files import inside
from pipeline.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image

FILE = "pictures.parquet"  # in a snapshot: name and content
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")  # others are read by programs that a picture could abuse
LARGEST = 64 << 20  # bytes of a picture
_PIXELS = 64_000_000  # a small file may hold more than a machine has memory for
_KEY = 16  # bytes of a hash
_GROUP = 64 << 20  # bytes of pictures that are read from a snapshot together, or one larger picture


class UnreadError(ValueError):
    """A value stands for no picture that can be read; the message says why."""


@dataclass(frozen=True)
class Pictures:
    """The contents of pictures by their names, as values are read.

    Args:
        content: What a text stands for; bytes stand for themselves.
        look: Whether each is opened, so that one that cannot be read is found.
        kept: What was read.
    """

    content: Callable[[str], bytes]
    look: bool = True
    kept: dict[str, bytes] = field(default_factory=dict)

    @classmethod
    def below(cls, root: Path, *, look: bool = True) -> Self:
        """Texts are paths of files below a folder, resolved."""
        return cls(partial(content_of_file, root), look)

    @classmethod
    def of_requests(cls) -> Self:
        """Texts are the bytes themselves in base64, as JSON holds them."""
        return cls(_from_base64)

    def name(self, value: str | bytes) -> str:
        """Keep the picture that a value stands for, and name it by its content.

        Raises:
            UnreadError: there is none, or it cannot be read.
            DataError: a path leads out of the folder.
        """
        content = self.content(value) if isinstance(value, str) else value
        if len(content) > LARGEST:
            raise UnreadError(f"it has {len(content):,} bytes, more than {LARGEST:,}")
        name = name_of(content)
        if self.look and name not in self.kept:
            seen(content)
        self.kept[name] = content
        return name


def name_of(content: bytes) -> str:
    """The hash of a picture's bytes, in hex."""
    return blake2b(content, digest_size=_KEY).hexdigest()


def content_of_file(root: Path, path: str) -> bytes:
    """The bytes of a file below a folder, links followed.

    Raises:
        UnreadError: there is no such file, it is too large or cannot be opened; the path, which may be personal, is
            not told.
        DataError: the path leads out of the folder.
    """
    if "\0" in path or ".." in Path(path).parts or "://" in path:
        raise DataError(f"{path!r}: expected the path of a picture below {root}; pictures are read only there.")
    try:
        found = inside(root, path)
        if not found.is_file():
            raise UnreadError(f"there is no such file below {root}")
        if (size := found.stat().st_size) > LARGEST:
            raise UnreadError(f"it has {size:,} bytes, more than {LARGEST:,}")
        return found.read_bytes()
    except OSError as error:  # a title in the place of a path may be longer than a name can be
        raise UnreadError(f"its file cannot be read ({error.strerror})") from None
    except RuntimeError:  # of `Path.resolve`
        raise UnreadError("its path is a link that leads to itself") from None


def _from_base64(text: str) -> bytes:
    try:
        return base64.b64decode("".join(text.split()), validate=True)  # some tools break its lines
    except ValueError as error:
        raise UnreadError(f"it is no base64 ({error})") from None


def seen(content: bytes) -> "Image":
    """A picture in RGB: upright as its EXIF says, of several frames the first, what is transparent on white.

    Raises:
        UnreadError: it is in no known format, damaged, or too large.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of what is settled here
            image = Image.open(BytesIO(content), formats=FORMATS)
            if (pixels := image.width * image.height) > _PIXELS:
                raise UnreadError(f"it has {pixels:,} pixels, more than {_PIXELS:,}")
            image.load()
            return _plain(image)
    except UnreadError:
        raise
    except UnidentifiedImageError:
        raise UnreadError(f"it is none of {', '.join(FORMATS)}") from None
    except Image.DecompressionBombError:
        raise UnreadError(f"it has more than {_PIXELS:,} pixels") from None
    except Exception as error:  # the decoders raise whatever a file makes them trip over
        raise UnreadError(f"it is damaged ({error})") from None


def _plain(image: "Image") -> "Image":
    import numpy as np
    from PIL import Image

    turned = _upright(image)
    if turned.mode.startswith("I;16"):  # grey of 16 bits, of which the upper eight are seen
        turned = Image.fromarray((np.asarray(turned) >> 8).astype(np.uint8))
    elif turned.mode in ("I", "F"):
        raise UnreadError("its numbers are no shades of 8 or 16 bits")
    if not turned.has_transparency_data:
        return turned.convert("RGB")
    above = turned.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", above.size, "white"), above).convert("RGB")


def _upright(image: "Image") -> "Image":
    from PIL import ImageOps

    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # what stands beside a picture may be damaged, and the picture sound
        return image


def write_pictures(pictures: Mapping[str, bytes], names: Collection[str], path: Path) -> None:
    """Write some pictures, each once, in the order of their names."""
    import pyarrow as pa
    from pyarrow import parquet

    schema = pa.schema([("name", pa.string()), ("content", pa.large_binary())])
    with parquet.ParquetWriter(path, schema, compression="none", store_schema=False) as writer:
        for part in _groups({name: pictures[name] for name in sorted(set(names))}):
            writer.write_table(pa.table([list(part), list(part.values())], schema=schema))


def _groups(pictures: Mapping[str, bytes]) -> Iterator[dict[str, bytes]]:
    """Some after the other, as many together as fit into a page of Parquet, which has 2 GB at most."""
    part, size = dict[str, bytes](), 0
    for name, content in pictures.items():
        if part and size + len(content) > _GROUP:
            yield part
            part, size = {}, 0
        part[name] = content
        size += len(content)
    yield part


def read_pictures(path: Path, names: Collection[str]) -> dict[str, bytes]:
    """Those of some names that `write_pictures` wrote; none where it wrote no file."""
    from pyarrow import parquet

    if not path.exists():
        return {}
    found: dict[str, bytes] = {}
    wanted = set(names)
    file = parquet.ParquetFile(path)
    for place in range(file.num_row_groups):
        own = [at for at, name in enumerate(file.read_row_group(place, ["name"])["name"].to_pylist()) if name in wanted]
        if own:
            table = file.read_row_group(place).take(own)
            found |= dict(zip(table["name"].to_pylist(), table["content"].to_pylist(), strict=True))
    return found
