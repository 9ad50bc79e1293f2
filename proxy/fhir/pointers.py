"""Literal references and addresses of attachments in a resource, found without and with opening it (https://hl7.org/fhir/R4/references.html#literal).

A Reference names a resource in its element `reference`; nothing else in FHIR has a string under that name. An Attachment names where its
content is in `url`, often a Binary of the same server (https://hl7.org/fhir/R4/datatypes.html#attachment). Canonicals, other URIs,
and references by `identifier` or `display` alone name no resource of this server, and are none of these.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import TypeAlias

from proxy.fhir.content import may_hide, nodes_of, tree_of
from proxy.fhir.envelope import UNTOLD

Normal = Callable[[str], str | None]
"""Gives `Type/id` of a reference to a resource of ours, `None` for any other."""

Led: TypeAlias = Callable[[str], str | None]
"""Gives what an address leads to, if it is ours."""

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


ATTACHMENT = frozenset(
    """
    id extension contentType language data url size hash title creation height width frames duration pages
    """.split()  # noqa: SIM905
)
"""Elements of an Attachment, in every version; no other type with a `url` has none but these, except an Extension."""
_EXTENSIONS = ("extension", "modifierExtension")
_URL = re.compile(rb'"url"\s*:\s*"([^"]*)"')


def may_be_at(data: bytes, led: Led) -> bool:
    """Whether some address in the JSON may be ours; where bytes alone do not tell it may."""
    if may_hide(data):
        return True
    found = set(_URL.findall(data))
    return any(b"\\" in one or led(one.decode("utf-8", "replace")) for one in found)


def attachments_in(data: bytes, led: Led) -> frozenset[str]:
    """The addresses of Attachments inside some JSON, as written, that are ours. INVARIANT: none is missing."""
    if not may_be_at(data, led):
        return frozenset()
    return frozenset(url for url in _addresses(tree_of(data), "") if led(url))


def is_attachment(node: Mapping[str, object], name: str) -> bool:
    """Whether an object that stands under this name is an Attachment with an address."""
    if name in _EXTENSIONS or not isinstance(node.get("url"), str):
        return False
    return all(one.removeprefix("_") in ATTACHMENT for one in node)


def _addresses(value: object, name: str) -> Iterator[str]:
    if isinstance(value, list):
        for item in value:
            yield from _addresses(item, name)
    elif isinstance(value, dict):
        if is_attachment(value, name):
            yield str(value["url"])
        for own, inner in value.items():
            yield from _addresses(inner, own)


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
