"""NDJSON: one JSON resource a line (https://github.com/ndjson/ndjson-spec; Bulk Data Access 2.0, output files).

Laws:
- A line is given only when it is whole, however the bytes arrive; what is no line of its own is never guessed (T-42).
- Bounded memory: of a line longer than is allowed nothing is kept; `LOST` stands for it. A file that ends inside a line is an
  `UpstreamError`, for it is no whole file.
"""

import msgspec

from proxy.errors import UpstreamError

MEDIA_TYPE = "application/fhir+ndjson"
_END = b"\n"
_BLANK = b" \t\r"


LOST = b"\x00"
"""Stands for a line that is longer than is allowed: nobody can read a resource from it."""


class Lines:
    """Cuts bytes that arrive in pieces into lines of at most `longest` bytes. Lines come without white space around them."""

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._begun: list[bytes] = []
        self._size = 0

    def fed(self, piece: bytes) -> list[bytes]:
        """The lines that a piece completes, without blank ones."""
        head, *others = piece.split(_END)
        if not others:
            self._keep(head)
            return []
        *whole, rest = others
        first = self._taken(head)
        self._keep(rest)
        return [line for line in map(self._bare, (first, *whole)) if line]

    def last(self) -> list[bytes]:
        """The line that no end of line followed, if there is one. `UpstreamError` where it is none: the file ends inside it."""
        line = self._bare(self._taken(b""))
        if not line:
            return []
        try:
            msgspec.json.decode(line)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            raise UpstreamError("a file of an export ends inside a line") from None
        return [line]

    def _keep(self, part: bytes) -> None:
        self._size += len(part)
        if self._size > self._longest:
            self._begun.clear()
        elif part:
            self._begun.append(part)

    def _taken(self, part: bytes) -> bytes:
        self._keep(part)
        line = LOST if self._size > self._longest else b"".join(self._begun)
        self._begun, self._size = [], 0
        return line

    def _bare(self, line: bytes) -> bytes:
        return LOST if len(line) > self._longest else line.strip(_BLANK)
