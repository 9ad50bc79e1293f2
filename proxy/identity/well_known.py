"""`/.well-known/smart-configuration`: where apps get tokens for us (SMART App Launch 2.2, conformance). Pure.

Ours, never upstream's: what upstream says of its own authorization server is of no use to a client of the gateway.
"""

from collections.abc import Mapping

import orjson

CODE_CHALLENGES = ("S256",)
"""`plain` is forbidden (SMART App Launch 2.2, conformance)."""


def smart_configuration(
    issuer: str, jwks_uri: str | None, stated: Mapping[str, str | tuple[str, ...] | None]
) -> bytes:
    """Write the document of one authorization server; `stated` are its endpoints and lists, absent where `None`."""
    described = {name: value for name, value in stated.items() if value is not None}
    identity = {"issuer": issuer, "jwks_uri": jwks_uri} if jwks_uri else {"issuer": issuer}
    response = (
        {"response_types_supported": ["code"]} if "authorization_endpoint" in described else {}
    )
    document = {
        **identity,
        **described,
        **response,
        "code_challenge_methods_supported": CODE_CHALLENGES,
    }
    return orjson.dumps(document)
