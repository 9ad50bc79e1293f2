"""An upstream that leaves security labels out of every Bundle, as some servers do (hapi-fhir#8362); what is read alone has them."""

import orjson
from aiohttp import web

from proxy.sandbox.http import ask_of, response_of
from tests.stage import Json, Override, Upstream


def forgetful(upstream: Upstream) -> Override:
    """From now on, where it is set as `override`."""

    async def override(request: web.BaseRequest) -> web.StreamResponse | None:
        answer = response_of(upstream.world.answer(await ask_of(request)))
        assert isinstance(answer, web.Response)
        body = answer.body
        assert isinstance(body, bytes)
        told: Json = orjson.loads(body)
        if told.get("type") not in ("searchset", "history"):
            return answer
        for entry in told.get("entry", []):
            entry.get("resource", {}).get("meta", {}).pop("security", None)
        headers = {"Content-Type": "application/fhir+json"}
        return web.Response(body=orjson.dumps(told), status=answer.status, headers=headers)

    return override
