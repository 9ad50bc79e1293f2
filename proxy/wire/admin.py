"""The admin listener: health, readiness, metrics, the reviewer API (interfaces, "HTTP, admin listener"). Never public.

Metrics carry no patient and no user: their labels are status codes and method names only.
"""

from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType

import orjson
from aiohttp import web
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)

from proxy.enforcement.routes import Route, route_of
from proxy.facts.finding import FindingKind

__all__ = ["AdminListener", "Metrics", "Ready", "Respond", "Route", "method_label"]

Ready = Callable[[], Awaitable[Mapping[str, str]]]
"""Port: what is not ready, by name, with one line why; empty when all is well."""

Degraded = Callable[[], Mapping[str, str]]
"""Port: what is amiss although requests are answered as they should be, by name, with one line why."""


def _nowhere() -> Mapping[str, str]:
    """Nothing is amiss."""
    return {}


Respond = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
"""Port: answers what comes by one route, its callers' tokens included."""


class Metrics:
    """What is counted. One registry per gateway, so that several can live in one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.seconds = Histogram(
            "proxy_request_seconds",
            "Time to an answer",
            buckets=(0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 30),
            registry=self.registry,
        )
        said = "Answers of the public listener and the reviewer API"
        self.requests = self._counter("requests", said, "method", "status")
        said = "Attempts to deliver an AuditEvent"
        self.deliveries = self._counter("audit_deliveries", said, "fate")
        self.stuck = self._gauge("audit_stuck", "AuditEvents the repository will not take")
        said = "Attempts to deliver a notice"
        self.notice_deliveries = self._counter("notice_deliveries", said, "fate")
        self.notices_stuck = self._gauge("notices_stuck", "Notices the receiver will not take")
        said = "Changes of the policy directory, by what became of them"
        self.policy_reloads = self._counter("policy_reloads", said, "result")
        said = "1 while what stands in the policy directory is refused and the last good set is in force"
        self.policies_refused = self._gauge("policies_refused", said)
        said = "1 where answers leave unfiltered (`mode: observe`)"
        self.observing = self._gauge("observing", said)
        said = "Break-glass grants that nobody has reviewed, open ones included"
        self.unreviewed = self._gauge("break_glass_unreviewed", said)
        said = "1 once upstream was seen to leave security labels out of what it gives in Bundles"
        self.labels_lost = self._gauge("labels_lost", said)
        said = (
            "Labelled resources that the last look at what upstream's Bundles carry could compare"
        )
        self.labels_compared = self._gauge("labels_compared", said)
        said = "What was not understood and denied, by kind; `audit findings` tells what it was"
        self.findings = self._counter("findings", said, "kind")
        for kind in FindingKind:  # an alert on an increase needs a series that begins at 0
            self.findings.labels(kind.value)

    def _counter(self, name: str, said: str, *labels: str) -> Counter:
        return Counter(f"proxy_{name}", said, labels, registry=self.registry)

    def _gauge(self, name: str, said: str) -> Gauge:
        return Gauge(f"proxy_{name}", said, registry=self.registry)


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"})


def method_label(method: str) -> str:
    """A method as a metric label: what a client invents is not one."""
    return method if method in _METHODS else "other"


class AdminListener:
    """Answers the admin listener from a table of routes: its own, and those that are given (the reviewer API)."""

    def __init__(
        self,
        metrics: Metrics,
        ready: Ready,
        routes: Mapping[Route, Respond] = MappingProxyType({}),
        degraded: Degraded = _nowhere,
    ) -> None:
        self._metrics = metrics
        self._ready = ready
        self._degraded = degraded
        own = {"/healthz": self._health, "/readyz": self._readiness, "/metrics": self._figures}
        reading: dict[Route, Respond] = {
            (method, path): respond for path, respond in own.items() for method in ("GET", "HEAD")
        }
        self._routes = {**reading, **routes}

    async def respond(self, request: web.BaseRequest) -> web.StreamResponse:
        """One request, one answer. The path is taken as it came: what is not written plainly is not found."""
        path = request.raw_path.partition("?")[0]
        route = route_of(request.method, path, self._routes)
        return await self._routes.get(route, _nothing)(request)

    async def _health(self, _: web.BaseRequest) -> web.StreamResponse:
        return web.Response(text="ok\n")

    async def _figures(self, _: web.BaseRequest) -> web.StreamResponse:
        body = generate_latest(self._metrics.registry)
        return web.Response(body=body, headers={"content-type": CONTENT_TYPE_LATEST})

    async def _readiness(self, _: web.BaseRequest) -> web.StreamResponse:
        troubles = await self._ready()
        degraded = dict(self._degraded())
        body = orjson.dumps(
            {"ready": not troubles, "troubles": dict(troubles), "degraded": degraded}
        )
        return web.Response(
            status=503 if troubles else 200, body=body, content_type="application/json"
        )


async def _nothing(_: web.BaseRequest) -> web.StreamResponse:
    return web.Response(status=404, text="not found\n")
