"""Userinfo requests (OpenID Connect Core 5.3.1, RFC 6750 2.1): asked with the caller's own token, and sent nowhere else with it."""

from http import HTTPStatus

import aiohttp

MOST_BYTES = 65_536
"""Userinfo is a page of claims; what is longer is none."""
JSON = "application/json"


async def userinfo_of(session: aiohttp.ClientSession, url: str, token: str) -> bytes:
    """The body of the answer; PermissionError where the token is refused, OSError, which quotes nothing, where there is none."""
    headers = {"accept": JSON, "authorization": f"Bearer {token}"}
    try:
        async with session.get(url, headers=headers, allow_redirects=False) as response:
            return await _body_of(response)
    except TimeoutError:
        raise OSError("it did not answer in time") from None
    except aiohttp.ClientError as error:
        raise OSError(f"it cannot be reached ({type(error).__name__})") from None


async def _body_of(response: aiohttp.ClientResponse) -> bytes:
    if response.status == HTTPStatus.UNAUTHORIZED:
        raise PermissionError("it refused the token")
    if response.status != HTTPStatus.OK:
        raise OSError(f"it answered with status {response.status}")
    if response.content_type != JSON:  # a signed answer (application/jwt) is not understood
        raise OSError("it answered something else than JSON")
    body = bytearray()
    async for piece in response.content.iter_any():
        body += piece
        if len(body) > MOST_BYTES:
            raise OSError("it answered too much")
    return bytes(body)
