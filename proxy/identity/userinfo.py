"""Userinfo (OpenID Connect Core 5.3): what the issuer says of the person whom an access token was issued for. Pure but for its port.

Laws: it counts only for the very `sub` of the token (5.3.2); an answer that is no strict JSON object is no answer.
"""

from collections.abc import Mapping
from typing import Protocol

from proxy.errors import CallerError, OwnError
from proxy.identity.claims import Claims
from proxy.identity.jws import bad_token, strict_object


class Userinfo(Protocol):
    """Port: how one issuer is asked for userinfo."""

    @property
    def cache_s(self) -> float:
        """How long an answer may be believed, in seconds."""
        ...

    async def ask(self, token: str) -> bytes:
        """The body of the answer to the person's own token; PermissionError where it was refused, OSError where there is none."""
        ...


async def asked(userinfo: Userinfo, token: str, claims: Claims) -> Mapping[str, object]:
    """What the issuer says of the person; CallerError BAD_TOKEN where it refuses the token, OwnError where it cannot be known."""
    try:
        body = await userinfo.ask(token)
    except PermissionError:
        raise bad_token("the userinfo endpoint refused the token") from None
    except OSError as error:
        raise OwnError(f"the userinfo endpoint cannot be asked ({error})") from None
    return said_of(body, claims)


def said_of(body: bytes, claims: Claims) -> Mapping[str, object]:
    """Read an answer; errors as `asked`."""
    try:
        answer = strict_object(body)
    except CallerError:
        raise OwnError("the userinfo endpoint answered no JSON object") from None
    if answer.get("sub") != claims.subject:
        raise bad_token("userinfo is of somebody else than the token")
    return answer
