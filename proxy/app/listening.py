"""The public and the admin listener: ports, TLS, and what stands there before the gateway is ready."""

import ssl

from aiohttp import web

from proxy.errors import Finding, UnusableError
from proxy.settings import Settings
from proxy.wire.server import PublicListener


class PendingListener:
    """The public listener before its port, and so its public URL, is known: nothing is answered yet."""

    def __init__(self) -> None:
        self._listener: PublicListener | None = None

    def found(self, listener: PublicListener) -> None:
        """From now on this one answers."""
        self._listener = listener

    async def respond(self, request: web.BaseRequest) -> web.StreamResponse:
        """One request, one answer."""
        if self._listener is None:
            return web.Response(status=503)
        return await self._listener.respond(request)

    async def respond_to_noise(self, request: web.BaseRequest) -> web.StreamResponse:
        """What is no HTTP."""
        if self._listener is None:
            return web.Response(status=503)
        return await self._listener.respond_to_noise(request)


def tls_of(settings: Settings) -> ssl.SSLContext | None:
    """TLS of the public listener; `UnusableError` when the files cannot be used."""
    tls = settings.listen.tls
    if tls is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(tls.cert, tls.key)
        if tls.client_ca is not None:
            # Not every client has one: whether it is needed, its token says.
            context.load_verify_locations(tls.client_ca)
            context.verify_mode = ssl.CERT_OPTIONAL
    except (OSError, ssl.SSLError) as error:
        raise UnusableError(
            Finding("gateway.yaml", 1, f"`listen.tls` cannot be used: {error}")
        ) from None
    return context
