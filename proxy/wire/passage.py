"""The passage to upstream of a gateway that only observes: a request goes up and its answer comes down as they are.

Only end-to-end headers of a table pass, in both directions; the caller's token goes up only where the operator said
`forward`. No redirects, no cookies; bounded time and size. Upstream's own base URL is rewritten to ours, in text and
headers, so that links lead back to the gateway.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp
from yarl import URL

from proxy.errors import UpstreamError
from proxy.fhir.interaction import Answer, RawRequest
from proxy.wire.client import Reach
from proxy.wire.credentials import is_refusal
from proxy.wire.headers import PASSED_DOWN, PASSED_UP


@dataclass(frozen=True, slots=True)
class Passage:
    """`base_path` is the public base's path, `public_url` what clients see; `forwards_token` as `upstream.auth` says."""

    session: aiohttp.ClientSession
    reach: Reach
    base_path: str
    public_url: str
    forwards_token: bool

    async def forward(self, raw: RawRequest) -> Answer:
        """Upstream's answer to the request as it came; `UpstreamError` if nothing usable came."""
        target = raw.target.removeprefix(self.base_path)
        own = await self.reach.credentials.headers()
        headers = _passed(raw.headers, PASSED_UP) | dict(own)
        headers |= {"accept-encoding": "identity", "x-request-id": raw.request_id}
        if self.forwards_token and "authorization" in raw.headers:
            headers["authorization"] = raw.headers["authorization"]
        try:
            async with self.session.request(
                raw.method,
                URL(self.reach.url + target, encoded=True),
                headers=headers,
                data=raw.body or None,
                allow_redirects=False,
            ) as response:
                body = await response.content.read(self.reach.max_body_bytes + 1)
                while len(body) <= self.reach.max_body_bytes and not response.content.at_eof():
                    body += await response.content.read(self.reach.max_body_bytes)
                if len(body) > self.reach.max_body_bytes:
                    raise UpstreamError("upstream's answer is larger than max_body_bytes")
                if is_refusal(response.status) and not self.forwards_token:
                    # Not asked again: a write must not be sent twice. The next request has new ones.
                    self.reach.credentials.refused(own)
                return self._ours(Answer(response.status, _lowered(response.headers), body))
        except TimeoutError:
            raise UpstreamError("upstream did not answer in time") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise UpstreamError(
                f"upstream cannot be reached or broke off ({type(error).__name__})"
            ) from None

    def _ours(self, answer: Answer) -> Answer:
        """The answer with upstream's base URL replaced by ours, wherever a URL may begin."""
        theirs, ours = self.reach.url, self.public_url
        headers = {
            name: ours + value.removeprefix(theirs) if value.startswith(theirs) else value
            for name, value in _passed(answer.headers, PASSED_DOWN).items()
        }
        body = answer.body
        if theirs != ours:
            for end in (b'"', b"/", b"?"):
                body = body.replace(b'"' + theirs.encode() + end, b'"' + ours.encode() + end)
        return Answer(answer.status, headers, body)


def _passed(headers: Mapping[str, str], table: frozenset[str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name in table}


def _lowered(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}
