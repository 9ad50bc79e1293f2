"""Literal references in a resource, found without and with opening it (https://hl7.org/fhir/R4/references.html#literal).

A Reference names a resource in its element `reference`; nothing else in FHIR has a string under that name. Canonicals, URIs,
and references by `identifier` or `display` alone name no resource of this server, and are none of these.
"""

import re
from collections.abc import Callable, Collection

from proxy.fhir.content import may_hide, nodes_of, tree_of
from proxy.fhir.envelope import UNTOLD

Normal = Callable[[str], str | None]
"""Gives `Type/id` of a reference to a resource of ours, `None` for any other."""

_VALUE = re.compile(rb'"reference"\s*:\s*"([^"]*)"')
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_HOST = re.compile(r"https?:[/\\]*(?:[^/\\@?#]*@)?([^/\\?#]*)", re.IGNORECASE)


def references_in(data: bytes) -> frozenset[str]:
    """The literal references inside some JSON, as written. INVARIANT: none is missing; one may be no Reference's."""
    if not may_hide(data):
        found = set(_VALUE.findall(data))
        if not any(b"\\" in one for one in found):
            return frozenset(one.decode("utf-8", "replace") for one in found)
    return frozenset(
        text for node in nodes_of(tree_of(data)) if isinstance(text := node.get("reference"), str)
    )


def pointed_at(text: str, normal: Normal, bases: Collection[str]) -> str | None:
    """The resource of ours (`Type/id`) that a literal reference names; `UNTOLD` where that cannot be told.

    `None` where it names none of ours: another server's, a contained one, one by its URN. What is relative, or at one of
    our hosts, and reads like no reference is one that cannot be told: some server may understand it.
    """
    target = normal(text)
    if target is not None or text.startswith("#"):
        return target
    if not _SCHEME.match(text):
        return UNTOLD
    host = _host_of(text)
    return UNTOLD if host and host in {_host_of(base) for base in bases} else None


def _host_of(url: str) -> str:
    """Host and port of a URL, as far as spellings go: without case, final dot and the port of the scheme."""
    found = _HOST.match(url)
    if found is None:
        return ""
    host, _, port = found[1].casefold().partition(":")
    return f"{host.rstrip('.')}:{'' if port in ('80', '443') else port}"
