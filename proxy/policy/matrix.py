"""Access-rights matrix from CSV: role by document type (`matrice d'habilitation`, CSP R1111-46). Pure.

First column `type` (`system-alias#CODE`), second `title`, then one column for each role of terms.yaml. A cell is
`Y`, `N`, or empty: nobody knows, which denies.
"""

import csv
import io
from collections.abc import Iterator

from proxy.errors import Finding, UnusableError
from proxy.fhir.coding import Coding
from proxy.policy.model import Matrix
from proxy.policy.terms import Terms

_CELLS = {"Y": True, "N": False}
_COLUMNS = ["type", "title"]


def matrix_of(file: str, text: str, terms: Terms) -> Matrix:
    """Read a matrix; raise `UnusableError` with every finding."""
    rows = list(csv.reader(io.StringIO(text.removeprefix("\ufeff"))))
    header = rows[0] if rows else []
    findings = [Finding(file, 1, message) for message in _wrong_in_header(header, terms)]
    cells: dict[tuple[str, Coding], bool] = {}
    for line, row in enumerate(rows[1:], start=2):
        wrong = list(_wrong_in_row(row, len(header), terms))
        findings += [Finding(file, line, message) for message in wrong]
        if not wrong and not findings:
            document_type = terms.coding(row[0])
            if any((role, document_type) in cells for role in header[2:]):
                findings.append(Finding(file, line, f"`{row[0]}` has a row already"))
            cells |= {
                (role, document_type): _CELLS[cell]
                for role, cell in zip(header[2:], row[2:], strict=True)
                if cell
            }
    if findings:
        raise UnusableError(*findings)
    return Matrix(cells)


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
