"""References and page links: whose URL is it? (https://hl7.org/fhir/R4/references.html, http.html#paging).

A URL is ours only if scheme, host, port and path prefix of a base match exactly after the normalisation of
RFC 3986 §6.2 that changes no meaning: case of scheme and host, default port. Nothing is decoded and no dot
segment is resolved: a URL that would need it is nobody's.
"""

import functools
import re
from typing import NamedTuple

from proxy.errors import OwnError

_TYPE_AND_ID = r"[A-Z][A-Za-z]{0,63}/(?!\.+(?:/|\Z))[A-Za-z0-9.-]{1,64}"
_VERSION = r"/_history/(?!\.+\Z)[A-Za-z0-9.-]{1,64}"
_RELATIVE = re.compile(rf"({_TYPE_AND_ID})(?:{_VERSION})?")
_ABSOLUTE = re.compile(
    r"(?P<scheme>https?)://(?P<host>[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::(?P<port>[0-9]{1,5}))?(?P<rest>[/?].*)?",
    re.IGNORECASE | re.ASCII,
)
_PATH = re.compile(r"(?:/(?!\.+(?:/|\Z))[A-Za-z0-9._~$-]+)*/?")
_QUERY = re.compile(r"[\x21\x24-\x5b\x5d-\x7e]*")
_AT_A_ROW = re.compile(r"[?&]_getpagesoffset=[0-9]+(?=&|\Z)")
_COUNT = re.compile(r"(?<=[?&])_count=([0-9]{1,6})(?=&|\Z)")
_DEFAULT_PORTS = {"http": 80, "https": 443}


class _Url(NamedTuple):
    """An absolute http URL, taken apart: origin in one spelling, the rest as written."""

    scheme: str
    host: str
    port: int
    rest: str


def _url_of(text: str) -> _Url | None:
    found = _ABSOLUTE.fullmatch(text)
    if not found:
        return None
    scheme = found["scheme"].lower()
    port = int(found["port"]) if found["port"] else _DEFAULT_PORTS[scheme]
    return _Url(scheme, found["host"].lower(), port, found["rest"] or "")


@functools.lru_cache(maxsize=64)
def _base_of(text: str) -> _Url | None:
    """Take a base URL apart, its path without trailing slash."""
    url = _url_of(text)
    return url._replace(rest=url.rest.rstrip("/")) if url else None


def _below(url: _Url, base: _Url) -> str | None:
    """Give what follows the base in a URL: empty, or beginning with `/` or `?`; None if it is another server's."""
    if url[:3] != base[:3] or not url.rest.startswith(base.rest):
        return None
    rest = url.rest[len(base.rest) :]
    return rest if rest[:1] in ("", "/", "?") else None


def reference_of(text: str, bases: tuple[str, ...]) -> str | None:
    """Give `Type/id` of a literal reference: relative, or absolute under one of `bases`, versioned or not.

    None for anything else: another server, `#contained`, `urn:uuid:…`, a query, what is malformed. Whether the
    type exists is not asked.
    """
    found = _RELATIVE.fullmatch(text)
    if found:
        return found[1]
    url = _url_of(text)
    if not url:
        return None
    for base in filter(None, map(_base_of, bases)):
        rest = _below(url, base)
        found = _RELATIVE.fullmatch(rest[1:]) if rest and rest[0] == "/" else None
        if found:
            return found[1]
    return None


def page_of(url: str, upstream_base: str) -> str | None:
    """Give what must be appended to `upstream_base` to fetch a page link of upstream (`/Type?…`, `?…`, ``).

    `url` is absolute, begins with the path of the base, or is relative to the base. None if it leads anywhere
    but below the base, or holds what a plain URL does not: userinfo, fragment, backslash, `%` in the path.
    """
    base = _base_of(upstream_base)
    absolute = _url_of(url) if "://" in url.partition("?")[0] else _joined(url, base)
    rest = _below(absolute, base) if absolute and base else None
    if rest is None:
        return None
    path, _, query = rest.partition("?")
    return rest if _PATH.fullmatch(path) and _QUERY.fullmatch(query) else None


def widened(target: str, most: int) -> str:
    """Give a page link for twice as many rows, `most` at most, where it says at which row its page begins, as HAPI FHIR's do.

    What a page link means is the server's own (http.html#paging): where it counts pages, or is a token, it stays as it is.
    """
    counts = _COUNT.findall(target)
    if not _AT_A_ROW.search(target) or len(counts) != 1:
        return target
    return _COUNT.sub(f"_count={max(int(counts[0]), min(most, 2 * int(counts[0])))}", target)


def _joined(url: str, base: _Url | None) -> _Url | None:
    """Put a relative page link under a base: relative to the base, or to the host if it begins with a slash."""
    if not base or url.startswith("//"):
        return None
    if url.startswith("/"):
        return base._replace(rest=url)
    joint = "" if url.startswith("?") or not url else "/"
    return base._replace(rest=f"{base.rest}{joint}{url}")


def gateway_url(public_url: str, reference: str) -> str:
    """Write the public URL of a relative reference (`Type/id`, versioned or not); OwnError for anything else."""
    if not _RELATIVE.fullmatch(reference):
        raise OwnError("only a relative reference can be put below the public URL")
    return f"{public_url.rstrip('/')}/{reference}"
