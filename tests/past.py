"""Things that happened to a server, step by step: resources written, resources deleted; and what a history tells of them."""

from collections.abc import Iterable
from datetime import UTC, datetime

import orjson

from proxy.sandbox.body import draft_of
from proxy.sandbox.store import Store
from tests.stage import NOW, Json, Reply

LATER = NOW - 60
SINCE = datetime.fromtimestamp(NOW - 120, UTC).strftime("_since=%Y-%m-%dT%H:%M:%SZ")
"""What happened by `happen`, and not what was loaded before."""

Step = Json | str
"""A resource that is written, or `Type/id` that is deleted."""
Told = tuple[str, str, str]
"""Method, `Type/id`, and version."""


def happen(store: Store, steps: Iterable[Step]) -> None:
    """The steps, in their order, a minute ago."""
    store.clock = lambda: LATER
    for step in steps:
        if isinstance(step, str):
            store.delete(*step.split("/"))
        else:
            store.update(draft_of(orjson.dumps(step), store.definitions), step["id"])


def told(reply: Reply) -> list[Told]:
    """The entries of a history, and that each is written as the standard wants it."""
    body = reply.json
    assert (reply.status, body["type"]) == (200, "history")
    return [_told(entry) for entry in body.get("entry", [])]


def _told(entry: Json) -> Told:
    request, response = entry["request"], entry["response"]
    version = response["etag"].removeprefix('W/"').removesuffix('"')
    assert entry["fullUrl"].endswith(f"/{request['url']}")
    assert ("resource" in entry) == (request["method"] != "DELETE")
    if "resource" in entry:
        held = entry["resource"]
        assert f"{held['resourceType']}/{held['id']}" == request["url"]
        assert held["meta"]["versionId"] == version
        assert held["meta"]["lastUpdated"] == response["lastModified"]
    return request["method"], request["url"], version
