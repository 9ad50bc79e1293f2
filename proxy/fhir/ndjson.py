"""NDJSON: one JSON resource a line (https://github.com/ndjson/ndjson-spec; Bulk Data Access 2.0, output files).

Laws:
- A line is given only when it is whole, however the bytes arrive; what is no line of its own is never guessed (T-42).
- Bounded memory: a line longer than is allowed is an `UpstreamError`, and so is one that is no resource.
"""

import msgspec

from proxy.errors import UpstreamError

MEDIA_TYPE = "application/fhir+ndjson"
_END = b"\n"
_BLANK = b" \t\r"


class _Named(msgspec.Struct):
    resourceType: str  # noqa: N815  (FHIR's name)


_DECODER = msgspec.json.Decoder(_Named)


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
        """The line that no end of line followed, if there is one."""
        line = self._bare(self._taken(b""))
        return [line] if line else []

    def _keep(self, part: bytes) -> None:
        self._size += len(part)
        if self._size > self._longest:
            raise UpstreamError("a line of an export's file is longer than export.line_bytes")
        if part:
            self._begun.append(part)

    def _taken(self, part: bytes) -> bytes:
        self._keep(part)
        line = b"".join(self._begun)
        self._begun, self._size = [], 0
        return line

    def _bare(self, line: bytes) -> bytes:
        if len(line) > self._longest:
            raise UpstreamError("a line of an export's file is longer than export.line_bytes")
        return line.strip(_BLANK)


def require_type(line: bytes, rtype: str) -> None:
    """Refuse a line that is no resource of the type that the file is of. Raises UpstreamError."""
    try:
        line.decode("utf-8")
        found = _DECODER.decode(line).resourceType
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise UpstreamError("a line of an export's file is no resource") from None
    if found != rtype:
        raise UpstreamError("a line of an export's file is a resource of another type")
