"""read and vread, beside the golden conversations: what is unusual."""

from collections.abc import AsyncIterator

import orjson
import pytest
import pytest_asyncio

from proxy.sandbox.body import draft_of
from tests.stage import (
    Json,
    Stage,
    Upstream,
    authorization,
    bundle,
    names,
    serving,
    staged,
    world_of,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")


def version(text: str, **more: object) -> Json:
    return {"resourceType": "Observation", "id": "o", "status": "final", "code": {"text": text}, "subject": {"reference": "Patient/camille"}, **more}  # fmt: skip


def hidden(name: str) -> Json:
    return {**version("hidden", subject={"reference": "Patient/noe"}), "id": name}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def upstream() -> Upstream:
    versions = (version("first"), version("second"), version("third"))
    world = world_of(*map(bundle, (*versions, hidden("hidden-now"), hidden("hidden-deleted"))))
    world.store.delete("Condition", "camille-migraine")
    world.store.delete("Observation", "hidden-deleted")
    return Upstream(world)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(
    upstream: Upstream, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stage]:
    async with (
        serving(upstream.respond) as url,
        staged(tmp_path_factory.mktemp("gateway"), url) as stage,
    ):
        yield stage


@pytest.mark.parametrize(("number", "text"), [("1", "first"), ("2", "second"), ("3", "third")])
async def test_each_version_is_given_as_it_was(stage: Stage, number: str, text: str) -> None:
    reply = await stage.ask(f"Observation/o/_history/{number}", "care-team-physician")
    assert (reply.json["code"], reply.json["meta"]["versionId"]) == ({"text": text}, number)


async def test_a_read_gives_the_current_version(stage: Stage) -> None:
    assert (await stage.ask("Observation/o", "patient")).json["meta"]["versionId"] == "3"


@pytest.mark.parametrize("target", ["Condition/camille-migraine", "Condition/camille-migraine/_history/2", "Observation/o/_history/4", "Observation/o/_history/0"])  # fmt: skip
async def test_what_was_deleted_is_absent_and_so_is_its_deletion(stage: Stage, target: str) -> None:
    gone = await stage.ask(target, "care-team-physician")
    absent = await stage.ask("Condition/no-such", "care-team-physician")
    assert (gone.status, gone.body) == (absent.status, absent.body) == (404, absent.body)


DELETED = [("care-team-physician", 200), ("patient", 200), ("outside-clinician", 404)]


@pytest.mark.parametrize("path", ["/_history", "/_history/1"])
@pytest.mark.parametrize(("who", "status"), DELETED)
async def test_versions_of_what_was_deleted_are_shown_to_who_could_see_the_last_one(
    stage: Stage, who: str, status: int, path: str
) -> None:
    assert (await stage.ask(f"Condition/camille-migraine{path}", who)).status == status


@pytest.mark.parametrize("path", ["/_history", "/_history/1"])
async def test_deleted_hidden_and_absent_are_the_same_answer_for_the_same_calls(
    stage: Stage, upstream: Upstream, path: str
) -> None:
    told = []
    for name in ("hidden-now", "hidden-deleted", "no-such"):
        await stage.ask(f"Observation/{name}{path}", "care-team-physician")
        upstream.calls.clear()
        reply = await stage.ask(f"Observation/{name}{path}", "care-team-physician")
        asked = [call.target.replace(name, "x") for call in upstream.calls if name in call.target]
        told.append((reply.status, reply.body, asked))
    assert told[0] == told[1] == told[2]
    assert told[0][0] == 404


async def test_an_older_version_is_absent_where_the_newest_is_shown_redacted(
    stage: Stage, upstream: Upstream
) -> None:
    """That the first one leaves whole would tell that the second one has what is redacted, and since when."""
    store = upstream.world.store
    before = store.current("Patient", "camille")
    assert before is not None
    assert before.body is not None
    bare = {"resourceType": "Patient", "id": "camille", "meta": {}}
    store.update(draft_of(orjson.dumps(bare), store.definitions), "camille")
    assert (await stage.ask("Patient/camille/_history/2", "care-team-nurse")).status == 200
    store.update(draft_of(before.body, store.definitions), "camille")
    assert (await stage.ask("Patient/camille", "care-team-nurse")).status == 200
    assert (await stage.ask("Patient/camille/_history/2", "care-team-nurse")).status == 404
    history = await stage.ask("Patient/camille/_history", "care-team-nurse")
    assert (history.status, history.json.get("entry")) == (200, None)
    assert (await stage.ask("Patient/camille/_history/2", "care-team-physician")).status == 200


async def test_a_redacted_view_says_who_changed_it_and_not_when(stage: Stage) -> None:
    whole = await stage.ask("Patient/camille", "care-team-physician")
    view = await stage.ask("Patient/camille", "care-team-nurse")
    assert "x-intermediary" not in whole.headers
    assert "x-intermediary" in view.headers
    assert {"versionId", "lastUpdated"} <= whole.json["meta"].keys()
    assert {"versionId", "lastUpdated"}.isdisjoint(view.json["meta"])


async def test_head_is_get_without_a_body(stage: Stage) -> None:
    for target in ("Observation/o", "Observation/o/_history/1", "Observation/nobody", "metadata"):
        got = await stage.ask(target, "patient")
        head = await stage.ask(target, "patient", "HEAD")
        assert (head.status, head.body) == (got.status, b"")
        assert head.headers.get("etag") == got.headers.get("etag")


CONDITIONAL = ("Observation/o", "Observation/o/_history/2", "Patient/camille")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("who", ["care-team-physician", "care-team-nurse", "patient"])
@pytest.mark.parametrize("target", CONDITIONAL)
async def test_who_holds_the_view_is_told_so_after_a_decision_like_any_other(
    stage: Stage, target: str, who: str, method: str
) -> None:
    got = await stage.ask(target, who)
    stage.entries()
    again = await stage.ask(target, who, method, {"if-none-match": got.headers["etag"]})
    [entry] = stage.entries()
    assert (again.status, again.body) == (304, b"")
    assert "content-length" not in again.headers
    assert again.headers["etag"] == got.headers["etag"]
    assert again.headers["cache-control"] == "no-store"
    assert (entry.outcome, len(names([entry], "disclosed") + names([entry], "redacted"))) == (
        "permitted",
        1,
    )


OTHER_TAGS = ['W/"1"', 'W/"3"', "*", "nonsense", 'W/"', '"x", "y"', 'W/"' + "0" * 32 + '"']


@pytest.mark.parametrize("tag", OTHER_TAGS)
async def test_any_other_tag_is_answered_in_full(stage: Stage, tag: str) -> None:
    reply = await stage.ask("Observation/o", "patient", "GET", {"if-none-match": tag})
    assert (reply.status, reply.json["id"]) == (200, "o")


async def test_a_date_is_no_condition(stage: Stage) -> None:
    headers = {"if-modified-since": "Fri, 01 Jan 2100 00:00:00 GMT"}
    reply = await stage.ask("Observation/o", "patient", "GET", headers)
    assert (reply.status, "last-modified" in reply.headers) == (200, False)


async def test_the_tag_of_one_caller_is_nothing_to_another(stage: Stage) -> None:
    tags = [
        (await stage.ask("Observation/o", who)).headers["etag"]
        for who in ("care-team-physician", "patient")
    ]
    assert tags[0] != tags[1]
    other = await stage.ask("Observation/o", "patient", "GET", {"if-none-match": tags[0]})
    assert other.status == 200


async def test_what_is_hidden_is_absent_whatever_the_client_holds(stage: Stage) -> None:
    tag = (await stage.ask("Patient/camille", "care-team-physician")).headers["etag"]
    for target in ("Patient/noe", "Observation/no-such"):
        reply = await stage.ask(
            target, "care-team-physician", "GET", {"if-none-match": f"{tag}, *"}
        )
        assert (reply.status, "etag" in reply.headers) == (404, False)


async def test_two_conditions_are_refused(stage: Stage) -> None:
    authorized = authorization("patient")["Authorization"]
    wire = (
        "GET /fhir/Observation/o HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        f'Authorization: {authorized}\r\nIf-None-Match: "a"\r\nIf-None-Match: "b"\r\n\r\n'
    )
    assert (await stage.raw(wire.encode())).startswith(b"HTTP/1.1 400")
