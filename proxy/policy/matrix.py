"""Access-rights matrix from CSV: role by document type (`matrice d'habilitation`, CSP R1111-46). Pure.

First column `type` (`system-alias#CODE`), second `title`, then one column for each role of terms.yaml. A cell is
`Y`, `N`, or empty: nobody knows, which denies.
"""

import csv
import io
from collections.abc import Iterator
from typing import NamedTuple

from proxy.errors import Finding, UnusableError
from proxy.fhir.coding import Coding
from proxy.policy.model import Matrix
from proxy.policy.terms import Terms

_CELLS = {"Y": True, "N": False}
_COLUMNS = ["type", "title"]


def matrix_of(file: str, text: str, terms: Terms) -> Matrix:
    """Read a matrix; raise `UnusableError` with every finding."""
    lines = _lines(file, text)
    header = lines[0].cells if lines else []
    findings = [Finding(file, 1, message) for message in _wrong_in_header(header, terms)]
    findings += [
        Finding(file, line.number, message)
        for line in lines[1:]
        for message in _wrong_in_row(line.cells, len(header), terms)
    ]
    if not findings:
        findings += _repeated(file, lines[1:], terms)
    if findings:
        raise UnusableError(*findings)
    return Matrix(
        {
            (role, terms.coding(line.cells[0])): _CELLS[cell]
            for line in lines[1:]
            for role, cell in zip(header[2:], line.cells[2:], strict=True)
            if cell
        }
    )


def _repeated(file: str, rows: list["_Line"], terms: Terms) -> Iterator[Finding]:
    """Give the rows whose document type has one already, however it is written."""
    seen: set[Coding] = set()
    for row in rows:
        document_type = terms.coding(row.cells[0])
        if document_type in seen:
            yield Finding(file, row.number, f"`{row.cells[0]}` has a row already")
        seen.add(document_type)


class _Line(NamedTuple):
    number: int
    cells: list[str]


def _lines(file: str, text: str) -> list[_Line]:
    """Give the lines that are not blank, with their numbers."""
    reader = csv.reader(io.StringIO(text.removeprefix("\ufeff")), strict=True)
    try:
        return [_Line(reader.line_num, cells) for cells in reader if cells]
    except csv.Error as error:
        raise UnusableError(Finding(file, reader.line_num, f"not CSV: {error}")) from error


def _wrong_in_header(header: list[str], terms: Terms) -> Iterator[str]:
    if header[:2] != _COLUMNS:
        yield "the first columns must be `type` and `title`"
    for role in header[2:]:
        if role not in terms.roles:
            yield f"`{role}` is no role of terms.yaml"
        if header.count(role) > 1:
            yield f"`{role}` has more than one column"


def _wrong_in_row(row: list[str], width: int, terms: Terms) -> Iterator[str]:
    if len(row) != width:
        yield f"{len(row)} cells where the header has {width}"
        return
    alias, hash_sign, code = row[0].partition("#")
    if not (hash_sign and code and alias in terms.systems):
        yield f"`{row[0]}` is no code of a system of terms.yaml; write `alias#CODE`"
    for cell in row[2:]:
        if cell not in ("", *_CELLS):
            yield f"`{cell[:20]}` is neither `Y` nor `N` nor empty"
