"""Upstream servers of one search whose content changes: one that pages over the list as it is, one over the list as it was."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from proxy.errors import CallerError, Refusal
from proxy.fhir.bundle import Frame, Link
from proxy.fhir.query import pairs_of
from proxy.obligations.disclose import Judged
from proxy.obligations.pages import Candidate, Sorted, Source

BASE = "http://upstream.example.org/fhir"
NOTHING = Judged(b"", None, None)


def row(key: str, mode: str = "match", *, visible: bool = True) -> Candidate:
    return Candidate(key, NOTHING, visible, mode)


def keys(rows: Sequence[Candidate]) -> list[str]:
    return [one.key for one in rows]


@dataclass(slots=True)
class Live:
    """A server that pages by offset over the list as it is now; `asked` keeps what it was asked."""

    rows: list[Candidate]
    size: int
    asked: list[str] = field(default_factory=list)

    @property
    def first(self) -> str:
        return f"Observation?_count={self.size}"

    async def fetch(self, target: str) -> tuple[Frame, bytes]:
        self.asked.append(target.removeprefix("/"))
        query = dict(pairs_of(target.partition("?")[2]))
        found, at = self._found(query), int(query.get("_getpagesoffset", query.get("_offset", "0")))
        size = int(query["_count"])
        more = at + size < len(found)
        link = [Link("next", self._link(query, at + size, size, found))] if more else []
        return Frame("Bundle", "searchset", link), " ".join(keys(found[at : at + size])).encode()

    def _found(self, query: dict[str, str]) -> list[Candidate]:
        del query
        return self.rows

    def _link(self, query: dict[str, str], at: int, size: int, found: list[Candidate]) -> str:
        del query, found
        return f"{BASE}/Observation?_count={size}&_offset={at}"

    async def sort(self, _: Frame, body: bytes) -> Sorted:
        """What is on the page, as it is now; what is no more is not there."""
        now = {one.key: one for one in self.rows}
        return [now[key] for key in body.decode().split() if key in now], []

    def source(self, bound: int = 10_000) -> Source:
        return Source(bound, BASE, self.fetch, self.sort)


@dataclass(slots=True)
class Kept(Live):
    """A server that keeps what a search found, and whose page links lead into that (HAPI FHIR)."""

    lists: list[list[Candidate]] = field(default_factory=list)
    forgetful: bool = False
    """Whether it has forgotten all of it."""

    def _found(self, query: dict[str, str]) -> list[Candidate]:
        if "_getpages" not in query:
            return list(self.rows)
        if self.forgetful:
            raise CallerError(Refusal.NOT_FOUND, "410")
        return self.lists[int(query["_getpages"])]

    def _link(self, query: dict[str, str], at: int, size: int, found: list[Candidate]) -> str:
        if "_getpages" not in query:
            self.lists.append(found)
        name = query.get("_getpages", str(len(self.lists) - 1))
        return f"{BASE}?_getpages={name}&_getpagesoffset={at}&_count={size}"


Upstream = Callable[[list[Candidate], int], Live]
