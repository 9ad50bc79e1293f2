"""The yardstick: a bare aiohttp pass-through proxy, with nothing in it that a proxy could leave out.

`python -m bench.bare UPSTREAM_URL [rewrite]`: prints `ready URL`, serves until it is told to end. Same event loop, same
client and server libraries as the gateway, no router, no log, no look at the body. With `rewrite` it parses each body and writes
it anew with orjson: what a filter that works on JSON trees costs before it has filtered anything.
"""

import asyncio
import sys

import aiohttp
import orjson
import uvloop
from aiohttp import web
from yarl import URL


async def serve(upstream: str, *, rewrite: bool) -> None:
    """Passes every GET on to upstream until the process is ended."""
    session = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False)

    async def respond(request: web.BaseRequest) -> web.StreamResponse:
        url = URL(upstream + request.raw_path, encoded=True)
        headers = {"accept": "application/fhir+json", "accept-encoding": "identity"}
        async with session.get(url, headers=headers, allow_redirects=False) as answer:
            body = await answer.read()
            if rewrite:
                body = orjson.dumps(orjson.loads(body))
            return web.Response(
                status=answer.status,
                body=body,
                headers={"content-type": answer.headers["content-type"]},
            )

    runner = web.ServerRunner(web.Server(respond, access_log=None))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(f"ready http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve(sys.argv[1], rewrite="rewrite" in sys.argv[2:]))
