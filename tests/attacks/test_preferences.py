"""`Prefer`, however it is written (RFC 7240): no preference moves an answer to where nothing judges it, or changes what it holds (T-43)."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio

from tests.bulk import REGISTRY, policies
from tests.stage import PUBLIC, Stage, Upstream, authorization, serving, staged, world_of

pytestmark = pytest.mark.asyncio(loop_scope="module")
PHYSICIAN = "care-team-physician"
_CHANGING = re.compile(rb"(?im)^(?:date|x-request-id|etag):[^\n]*\n")
_PAGE = re.compile(rb"_page=[A-Za-z0-9._~-]+")

ASYNCHRONOUS = (
    "Prefer: respond-async", "prefer:respond-async", "PREFER: RESPOND-ASYNC", "Prefer: respond-async, wait=10", "Prefer: respond-async; wait=10",
    "Prefer: respond-async;q=0", "Prefer: return=minimal, respond-async", "Prefer: handling=strict;respond-async", "Prefer:\trespond-async\t",
    "Prefer: ,respond-async",
    "Prefer: wait=1,,respond-async,", "Prefer: return=representation respond-async",
)  # fmt: skip
"""Spellings that ask for an asynchronous answer."""
OTHERWISE = (
    "Prefer: handling=strict", "Prefer: handling=lenient", "Prefer: handling=\"lenient\"", "Prefer: handling=lenient; foo", "Prefer: handling=lenient, handling=strict",
    "Prefer: return=minimal", "Prefer: return=representation", "Prefer: return=OperationOutcome",
    "Prefer: wait=0", "Prefer: \"respond-async\"", "Prefer: respond-async=1", "Prefer: respond-async=\"\"", "Prefer: x-respond-async", "Prefer: respond_async",
    "Prefer:", "Prefer: ,", "Prefer: ;;", "Prefer: transaction=true, safe", "Prefer: \xe9", "Prefer: " + "a" * 4000, "Preference-Applied: respond-async", "X-Prefer: respond-async",
)  # fmt: skip
"""Preferences that change nothing, and what is none."""
UNREADABLE = ("Prefer: handling=strict,\r\n respond-async", "Prefer\t: respond-async", "Prefer : respond-async", " Prefer: respond-async", "Prefer: respond\x00-async",
    "Prefer: handling=lenient\r\nPrefer: respond-async", "Prefer: respond-async\r\nPrefer: handling=strict", "Prefer: respond-async\r\nprefer: respond-async", "Prefer: return=minimal\r\nPrefer: return=representation",
)  # fmt: skip
"""Folded, twice, or otherwise no header that two hops would read alike (RFC 9112 §5): refused."""
TARGETS = (
    "Patient/camille", "Patient/noe", "Observation?patient=camille&_count=3", "Observation?patient=camille&nonsense=1", "Observation/$lastn?patient=camille&category=x",
    "Patient/camille/$everything?_type=Patient", "Patient/camille/_history", "metadata", "$export-status?_job=x",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Scene:
    """A gateway that exports, in front of the samples."""

    stage: Stage
    upstream: Upstream

    async def heard(self, target: str, header: str, who: object = PHYSICIAN) -> bytes:
        """What comes back, without what differs between equal answers."""
        self.upstream.calls.clear()
        token = authorization(who)["Authorization"]  # type: ignore[arg-type]
        sent = f"GET /fhir/{target} HTTP/1.1\r\nHost: x\r\n{header}\r\n" if header else f"GET /fhir/{target} HTTP/1.1\r\nHost: x\r\n"  # fmt: skip
        wire = f"{sent}Authorization: {token}\r\nConnection: close\r\n\r\n".encode("latin-1")
        return _PAGE.sub(b"_page=", _CHANGING.sub(b"", await self.stage.raw(wire, patience_s=20)))

    def preferred(self) -> set[str]:
        """What upstream was told to prefer."""
        return {call.headers.get("prefer", "") for call in self.upstream.calls}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    upstream, folder = Upstream(world_of()), tmp_path_factory.mktemp("gateway")
    async with (
        serving(upstream.respond) as url,
        staged(folder, url, facts_ttl_s=3600, policies=policies(folder)) as stage,
    ):
        yield Scene(stage, upstream)


def status_of(heard: bytes) -> int:
    return int(heard.split(b" ", 2)[1])


@pytest.mark.parametrize("target", TARGETS)
async def test_no_preference_moves_an_answer_or_changes_it(scene: Scene, target: str) -> None:
    plain = await scene.heard(target, "")
    for header in OTHERWISE:
        assert await scene.heard(target, header) == plain, header
        assert scene.preferred() <= {"handling=strict"}
    for header in ASYNCHRONOUS:
        heard = await scene.heard(target, header)
        assert status_of(heard) == 501, header
        assert not scene.upstream.calls
    for header in UNREADABLE:
        heard = await scene.heard(target, header)
        assert status_of(heard) == 400, header
        assert not scene.upstream.calls
        assert b"content-location" not in heard.lower()


async def test_an_export_is_begun_where_it_is_asked_for_asynchronously_and_nowhere_else(
    scene: Scene,
) -> None:
    for header in ASYNCHRONOUS:
        heard = await scene.heard("$export?_type=Patient", header, REGISTRY)
        assert status_of(heard) == 202, header
        [place] = re.findall(rb"(?im)^content-location: (\S+)", heard)
        assert place.startswith(f"{PUBLIC}/$export-status?_job=".encode())
        begun = [one for one in scene.upstream.calls if "$export" in one.target]
        assert [one.headers["prefer"] for one in begun] == ["respond-async"]
    for header in ("", *OTHERWISE):
        heard = await scene.heard("$export?_type=Patient", header, REGISTRY)
        assert status_of(heard) == 400, header
        assert b"content-location" not in heard.lower()
        assert not any("$export" in one.target for one in scene.upstream.calls)
