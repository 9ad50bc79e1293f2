"""Entries of a history as upstream tells them: which version of what, or that it was deleted (https://hl7.org/fhir/R4/http.html#history).

Law: who an entry is about is told by all of it (resource, `fullUrl`, `request.url`) or not at all; nothing of upstream's words is
passed on but ids and an instant, each in its own grammar (`bundle_of` sees to the instant).
"""

import re
from typing import NamedTuple

from proxy.fhir.bundle import NO_RESOURCE, FrameEntry, PastEntry
from proxy.fhir.envelope import named_in
from proxy.fhir.links import reference_of

DELETE = "DELETE"
_NOTHING = ""
_METHODS = {"POST": "POST"}
_ETAG = re.compile(r'(?:W/)?"([A-Za-z0-9.-]{1,64})"')


class Told(NamedTuple):
    """What an entry tells. `reference` is `Type/id`, empty where its parts name none or several; `version` and `modified` of a deletion."""

    reference: str
    method: str
    version: str = ""
    modified: str = ""

    @property
    def is_deletion(self) -> bool:
        """Whether it says that the instance was deleted; then it holds nothing."""
        return self.method == DELETE


def told_by(entry: FrameEntry, bases: tuple[str, ...]) -> Told:
    """What an entry of a history tells; `bases` are the URLs under which it may name instances."""
    named = {one for one in _names(entry, bases) if one is not None}
    reference = named.pop() if len(named) == 1 else _NOTHING
    method = entry.request.method if entry.request else ""
    if method != DELETE:
        held = entry.resource is not NO_RESOURCE
        return Told(reference if held else _NOTHING, _METHODS.get(method, "PUT"))
    response = entry.response if isinstance(entry, PastEntry) else None
    if response is None:
        return Told(reference, DELETE)
    found = _ETAG.fullmatch(response.etag)
    return Told(reference, DELETE, found[1] if found else "", response.lastModified)


def _names(entry: FrameEntry, bases: tuple[str, ...]) -> list[str | None]:
    """What each part of an entry names; a URL that leads elsewhere, or to a type, names nothing."""
    held = None
    if entry.resource is not NO_RESOURCE:
        held = reference_of(named_in(entry.resource) or "", ()) or _NOTHING
    url = reference_of(entry.request.url, bases) if entry.request else None
    full = reference_of(entry.fullUrl, bases) if isinstance(entry, PastEntry) else None
    return [held, url, full]
