"""Pages over a stable snapshot of a search or history, with HAPI's spelling of the links.

The snapshot remembers which versions matched; a page of a search shows their current content, without those
deleted since. Includes are added page by page. Only the latest snapshots are kept.
"""

import uuid
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from proxy.sandbox.bundle import bundle
from proxy.sandbox.model import Ask, FhirError, Version, invalid

MAX_SNAPSHOTS = 1000


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What was found, and how a page of it becomes entries."""

    kind: str
    """The Bundle type: searchset or history."""
    found: tuple[Version, ...]
    entries: Callable[[str, tuple[Version, ...]], list[bytes]]
    count: int
    total: int | None


class Pages:
    """The snapshots that next and previous links lead to."""

    def __init__(self) -> None:
        self._snapshots: OrderedDict[str, Snapshot] = OrderedDict()

    def first(self, snapshot: Snapshot, base: str, self_url: str) -> bytes:
        """Write the first page; the snapshot is kept if there are more."""
        name = str(uuid.uuid4())
        if len(snapshot.found) > snapshot.count:
            self._snapshots[name] = snapshot
            if len(self._snapshots) > MAX_SNAPSHOTS:
                self._snapshots.popitem(last=False)
        return _page(snapshot, name, 0, snapshot.count, (base, self_url))

    def forget(self) -> None:
        """Keep none of them; links into them are gone from now on."""
        self._snapshots.clear()

    def page(self, ask: Ask) -> bytes:
        """Write the page that a link names; FhirError 410 if its snapshot is gone, 400 if the link is wrong."""
        query = dict(ask.query)
        name = query["_getpages"]
        snapshot = self._snapshots.get(name)
        if snapshot is None:
            raise FhirError(
                410, "not-found", "the search that this link belongs to is not known any more"
            )
        offset, count = query.get("_getpagesoffset", "0"), query.get("_count", str(snapshot.count))
        if not offset.isdecimal() or not count.isdecimal() or count == "0":
            raise invalid("_getpagesoffset and _count must be whole numbers")
        return _page(snapshot, name, int(offset), int(count), (ask.base, ""))


def _page(snapshot: Snapshot, name: str, offset: int, count: int, urls: tuple[str, str]) -> bytes:
    base, self_url = urls

    def link(start: int) -> str:
        return (
            f"{base}?_getpages={name}&_getpagesoffset={start}&_count={count}"
            f"&_bundletype={snapshot.kind}"
        )

    links = [("self", self_url or link(offset))]
    if offset + count < len(snapshot.found):
        links.append(("next", link(offset + count)))
    if offset > 0:
        links.append(("previous", link(max(0, offset - count))))
    entries = snapshot.entries(base, snapshot.found[offset : offset + count])
    return bundle(snapshot.kind, entries, links, snapshot.total)
