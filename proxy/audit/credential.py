"""Credentials never reach the record: tokens and secrets are taken out of what the client wrote (BALP-12, RFC 6750 2.3).

The journal keeps raw requests, and a client may have put its token into the query, the form or a header that
is kept. Only such values are replaced; every other byte stays as it was received.
"""

import re
from urllib.parse import unquote_plus

import msgspec

from proxy.audit.entry import Entry

_PUT_INSTEAD = "credential-removed"
_PARAMETERS = frozenset(
    {
        "access_token", "actor_token", "assertion", "authorization", "client_assertion", "client_secret",
        "code_verifier", "id_token", "password", "refresh_token", "subject_token", "token",
    }
)  # fmt: skip
# A first, cheap look: one of the words above, a token's own look, or a letter written as percent code.
_SUSPECT = re.compile(r"token|assert|auth|secret|verif|passw|eyJ|bearer|dpop|%[4-7]", re.IGNORECASE)
_DOT = r"(?:\.|%2[eE])"
_TOKEN = re.compile(
    rf"eyJ[A-Za-z0-9_-]+(?:{_DOT}[A-Za-z0-9_-]*){{1,4}}"
    r"|(?i:bearer|dpop)(?:%20|[ +])+[^\s&,;]+"
)


def without_credentials(entry: Entry) -> Entry:
    """The same entry, credential values in the client's words replaced; usually the very same value."""
    words = f"{entry.target}\n{entry.form}\n{entry.accept}\n{entry.request_id}"
    if not _SUSPECT.search(words):
        return entry
    path, mark, query = entry.target.partition("?")
    return msgspec.structs.replace(
        entry,
        target=_tokens_out(path) + mark + _pairs_out(query),
        form=_pairs_out(entry.form),
        accept=_tokens_out(entry.accept),
        request_id=_tokens_out(entry.request_id),
    )


def _pairs_out(encoded: str) -> str:
    return "&".join(map(_pair_out, encoded.split("&")))


def _pair_out(pair: str) -> str:
    name, mark, _ = pair.partition("=")
    written = unquote_plus(name).strip().partition(":")[0].lower()
    if written in _PARAMETERS:
        return name + mark + _PUT_INSTEAD
    return _tokens_out(pair)


def _tokens_out(text: str) -> str:
    return _TOKEN.sub(_PUT_INSTEAD, text)
