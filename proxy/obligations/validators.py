"""Validators: the entity tag of what leaves to one caller, and whether a conditional read already holds it (RFC 9110 §8.8.3, §13.1.2).

Laws:
- A tag is made of the very bytes that leave, of the caller and of the policies in force: equal tags are equal views of one
  caller. Nothing of upstream's versions is in it, so that it does not move when only something hidden does (T-60, T-61).
- There is no other validator: a date cannot tell that a view has changed while its resource has not, so none is sent and
  `If-Modified-Since` has nothing to be compared with (RFC 9110 §13.1.3).
"""

import hashlib
import hmac
import re

_PURPOSE = b"fhir-consent-proxy entity tag v1\x00"
_TAG = re.compile(r'(?:W/)?("[\x21\x23-\x7e]*")')
_LIST = re.compile(rf"\s*{_TAG.pattern}\s*(?:,\s*{_TAG.pattern}\s*)*")
_HEX = 32


def view_tag(body: bytes, binding: str, key: bytes) -> str:
    """The `ETag` of a view. `binding` names caller and policies; the key is the gateway's own."""
    text = binding.encode() + b"\x00" + body
    return f'W/"{hmac.new(key, _PURPOSE + text, hashlib.sha256).hexdigest()[:_HEX]}"'


def is_held(if_none_match: str, tag: str) -> bool:
    """Whether the tags of an `If-None-Match` name this one, compared weakly; `*` and what is no list of tags name none."""
    if not _LIST.fullmatch(if_none_match):
        return False
    return tag.removeprefix("W/") in _TAG.findall(if_none_match)
