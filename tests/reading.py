"""What the tests of reading share: a file of any kind, and what is read of it."""

import io
import tempfile
import zipfile
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import pyarrow as pa
from pyarrow import parquet

from pipeline.config import FileTable
from pipeline.data.mapping import Mapper
from pipeline.data.readers.files import LocalFile
from pipeline.data.readers.reading import read_file
from pipeline.data.tables import KINDS

DOMAIN = {"domain": "d"}


def write(root: Path, name: str, content: Any) -> Path:
    """Write a file of a text, of bytes, or of a table as Parquet."""
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, dict | pa.Table):
        parquet.write_table(pa.table(content), path)
    else:
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def read(root: Path, name: str, content: Any, **spec: Any) -> dict[str, list[Any]]:
    """Give the canonical columns of a file of interactions, all of the domain `d` where nothing else is said."""
    path = write(root, name, content)
    table = FileTable.model_validate({"path": name, "constants": DOMAIN, **spec})
    mapper = Mapper(KINDS["interactions"], table, frozenset({"user_id"}))
    with tempfile.TemporaryDirectory() as scratch:
        rows = read_file(LocalFile(path, root), table, mapper, Path(scratch)).to_pydict()
    return {column: values for column, values in rows.items() if column not in table.constants}


def zipped(**files: str | bytes) -> bytes:
    """Pack files whose names have two underscores for a dot."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name.replace("__", "."), content)
    return packed.getvalue()


_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_LINKS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"


def workbook(since_1904: bool = False, **sheets: list[list[Any]]) -> bytes:
    """Write a workbook: texts, numbers, None, and times as tuples of the days since 1900, or since 1904."""
    links = [f'<Relationship Id="s{n}" Type="{_LINKS}/worksheet" Target="s{n}.xml"/>' for n in range(len(sheets))]
    links.append(f'<Relationship Id="styles" Type="{_LINKS}/styles" Target="styles.xml"/>')
    named = "".join(f'<sheet name="{name}" sheetId="{n + 1}" r:id="s{n}"/>' for n, name in enumerate(sheets))
    files = {
        "[Content_Types].xml": f'<Types xmlns="{_PACKAGE}/content-types"/>',
        "_rels/.rels": f'<Relationships xmlns="{_PACKAGE}/relationships"><Relationship Id="b" '
        f'Type="{_LINKS}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{_MAIN}" xmlns:r="{_LINKS}">'
        f'<workbookPr date1904="{int(since_1904)}"/><sheets>{named}</sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{_PACKAGE}/relationships">{"".join(links)}'
        "</Relationships>",
        "xl/styles.xml": f'<styleSheet xmlns="{_MAIN}"><cellXfs><xf numFmtId="0"/><xf numFmtId="22"/></cellXfs>'
        "</styleSheet>",
    }
    for number, rows in enumerate(sheets.values()):
        body = "".join(f"<row>{''.join(map(_cell, row))}</row>" for row in rows)
        files[f"xl/s{number}.xml"] = f'<worksheet xmlns="{_MAIN}"><sheetData>{body}</sheetData></worksheet>'
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return packed.getvalue()


def _cell(value: Any) -> str:
    if value is None:
        return "<c/>"
    if isinstance(value, str):
        return f'<c t="inlineStr"><is><t>{escape(value)}</t></is></c>'
    return f'<c s="1"><v>{value[0]}</v></c>' if isinstance(value, tuple) else f"<c><v>{value}</v></c>"
