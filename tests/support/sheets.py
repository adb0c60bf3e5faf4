"""Small workbooks for tests, written as XLSX by hand: a zip of XML, so that every cell is what the test says."""

import io
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

_TYPES = """<?xml version="1.0" encoding="UTF-8"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">
<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>
<Default Extension="xml" ContentType="application/xml"/>
<Override PartName="/xl/workbook.xml"
ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/>
{sheets}</Types>"""
_RELS = """<?xml version="1.0" encoding="UTF-8"?>
<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1"
Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="xl/workbook.xml"/>
</Relationships>"""
_MAIN = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
_R = 'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"'
_SHEET_TYPE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet"
_PART = "application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"


@dataclass(frozen=True)
class Formula:
    """A formula, and what it last came to."""

    text: str
    cached: str | float | None


@dataclass(frozen=True)
class Fault:
    """An error cell, such as #N/A."""

    text: str


Cell = str | float | bool | Formula | Fault | None


def workbook(sheets: Mapping[str, Sequence[Sequence[Cell]]], hidden: Sequence[str] = ()) -> bytes:
    """The bytes of an XLSX file."""
    made = io.BytesIO()
    numbered = list(enumerate(sheets.items(), 1))
    with zipfile.ZipFile(made, "w") as book:
        parts = "".join(f'<Override PartName="/xl/worksheets/s{n}.xml" ContentType="{_PART}"/>' for n, _ in numbered)
        book.writestr("[Content_Types].xml", _TYPES.format(sheets=parts))
        book.writestr("_rels/.rels", _RELS)
        listed = "".join(_listed(n, name, hidden=name in hidden) for n, (name, _) in numbered)
        book.writestr("xl/workbook.xml", f"<workbook {_MAIN} {_R}><sheets>{listed}</sheets></workbook>")
        links = "".join(
            f'<Relationship Id="rId{n}" Type="{_SHEET_TYPE}" Target="worksheets/s{n}.xml"/>' for n, _ in numbered
        )
        book.writestr(
            "xl/_rels/workbook.xml.rels",
            f'<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">{links}</Relationships>',
        )
        for n, (_, rows) in numbered:
            book.writestr(f"xl/worksheets/s{n}.xml", _sheet(rows))
    return made.getvalue()


def _listed(n: int, name: str, *, hidden: bool) -> str:
    state = ' state="hidden"' if hidden else ""
    return f'<sheet name="{escape(name)}" sheetId="{n}" r:id="rId{n}"{state}/>'


def _sheet(rows: Sequence[Sequence[Cell]]) -> str:
    lines = []
    for place, row in enumerate(rows, 1):
        cells = "".join(_cell(f"{chr(65 + column)}{place}", cell) for column, cell in enumerate(row))
        lines.append(f'<row r="{place}">{cells}</row>')
    return f"<worksheet {_MAIN}><sheetData>{''.join(lines)}</sheetData></worksheet>"


def _cell(at: str, cell: Cell) -> str:
    match cell:
        case None:
            return ""
        case bool():
            return f'<c r="{at}" t="b"><v>{int(cell)}</v></c>'
        case str():
            return f'<c r="{at}" t="inlineStr"><is><t xml:space="preserve">{escape(cell)}</t></is></c>'
        case Fault():
            return f'<c r="{at}" t="e"><v>{cell.text}</v></c>'
        case Formula(text, cached):
            value = "" if cached is None else f"<v>{escape(str(cached))}</v>"
            kind = ' t="str"' if isinstance(cached, str) else ""
            return f'<c r="{at}"{kind}><f>{escape(text)}</f>{value}</c>'
        case _:
            return f'<c r="{at}"><v>{cell!r}</v></c>'
