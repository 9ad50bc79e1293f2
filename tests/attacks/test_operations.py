"""GraphQL and operations that nobody named: refused in every spelling, with literal bytes on a socket, before upstream hears of it (T-32, T-45)."""

import random
from collections.abc import AsyncIterator
from typing import NamedTuple

import orjson
import pytest
import pytest_asyncio

from tests.attacks.records import PHYSICIAN, ZED, about, gateway
from tests.bulk import REGISTRY
from tests.stage import Stage, Upstream, authorization


class Scene(NamedTuple):
    stage: Stage
    upstream: Upstream


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    folder = tmp_path_factory.mktemp("gateway")
    async with gateway(folder, *ZED, about("Condition", "zc")) as (stage, upstream):
        yield Scene(stage, upstream)


pytestmark = pytest.mark.asyncio(loop_scope="module")

QUERY = "{Patient(id:zed){name{family}ConditionList(_reference:patient){language}}}"
GRAPHQL = [
    "/$graphql", "/$Graphql", "/$GRAPHQL", "/%24graphql", "/%2524graphql", "/$%67raphql", "/$graphql/", "//$graphql",
    "/./$graphql", "/x/../$graphql", "/$graphql;x=1", "/$graphql%00", "/$graphql%20", "/$graphql.", "/graphql",
    "/Patient/zed/$graphql", "/Patient/zed/%24graphql", "/Patient/$graphql", "/Patient/zed/_history/1/$graphql",
    "/Patient/zed/$GraphQL", "/Patient/zed//$graphql", "/Patient/zed;/$graphql", "/Patient%2Fzed%2F%24graphql",
    "/\uff04graphql", "/Patient/zed/$graphql/Condition", "/$graphql/$graphql",
]  # fmt: skip
POSTS = [
    ("GET", "", b""),
    (
        "GET",
        f"?query={QUERY.replace('{', '%7B').replace('}', '%7D').replace('(', '%28').replace(')', '%29')}",
        b"",
    ),
    ("POST", "application/json", orjson.dumps({"query": QUERY})),
    ("POST", "application/graphql", QUERY.encode()),
    ("POST", "application/fhir+json", orjson.dumps({"resourceType": "Parameters", "query": QUERY})),
    ("POST", "application/x-www-form-urlencoded", b"query=" + QUERY.encode()),
    ("PUT", "application/json", b"{}"),
    ("OPTIONS", "", b""),
]


async def heard(
    scene: Scene,
    method: str,
    target: str,
    kind: str = "",
    body: bytes = b"",
    who: object = PHYSICIAN,
) -> bytes:
    """The answer to literal bytes; upstream has heard of nothing but who the caller is."""
    token = authorization(who)["Authorization"]  # type: ignore[arg-type]
    content = f"Content-Type: {kind}\r\n" if kind else ""
    head = (
        f"{method} /fhir{target} HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\n{content}"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    scene.upstream.calls.clear()
    answer = await scene.stage.raw(head.encode() + body)
    assert scene.upstream.calls == [], target
    return answer


@pytest.mark.parametrize("target", GRAPHQL)
async def test_graphql_is_refused_however_it_is_spelled(scene: Scene, target: str) -> None:
    for method, kind, body in POSTS:
        query, content = (kind, "") if kind.startswith("?") else ("", kind)
        answer = await heard(scene, method, target + query, content, body)
        assert answer[9:12] in {b"400", b"404", b"405", b"415", b"501"}, (method, kind)
        assert b"CANARY" not in answer
        assert scene.stage.entries()[-1].outcome == "denied"


async def test_graphql_is_refused_inside_a_batch_too(scene: Scene) -> None:
    for url in (
        "$graphql",
        "Patient/zed/$graphql?query=x",
        "%24graphql",
        "Patient/$export",
        "Patient/zed/$everything",
    ):
        for method in ("GET", "POST"):
            entry = {"request": {"method": method, "url": url}}
            for kind in ("batch", "transaction"):
                bundle = {"resourceType": "Bundle", "type": kind, "entry": [entry]}
                answer = await heard(
                    scene, "POST", "", "application/fhir+json", orjson.dumps(bundle)
                )
                assert (
                    answer[9:12] in {b"501", b"404"}
                    or b'"status":"4' in answer
                    or b'"status":"5' in answer
                )


NAMED = [
    "expunge", "reindex", "import", "purge-history", "get-resource-counts", "diff", "trigger-subscription", "mdm-query-links",
    "mdm-merge-golden-resources", "cql", "fhirpath", "sqlquery-run", "run", "submit-data", "collect-data", "presigned-url",
    "access-history", "merge", "replace-references", "split", "convert", "transform", "populate", "prepopulate", "extract", "apply",
    "process-message", "validate", "document", "docref", "summaries", "generate-ccd", "match", "member-match", "expand",
    "validate-code", "translate", "lookup", "closure", "subsumes", "meta-add", "meta-delete", "stats", "evaluate-measure",
    "care-gaps", "hapi.fhir.replace-references", "export-poll-status", "bulkdelete", "bulk-submit", "import-poll-status",
    "perform-reindexing-pass", "mark-all-resources-for-reindexing", "snapshot", "implements", "conforms", "subset", "versions",
    "find", "graph", "add", "remove", "filter", "everything-else", "read-binary", "binary-access-write", "binary-access-read",
    "upload-external-code-system", "apply-codesystem-delta-add", "reindex-terminology", "invalidate-expansion", "status",
    "events", "get-ws-binding-token", "viewdefinition-run", "sqlquery-export", "ai", "export-", "exports", "export-statuses",
]  # fmt: skip
PLACES = [
    "/${}",
    "/Patient/${}",
    "/Patient/zed/${}",
    "/Condition/zc/_history/1/${}",
    "/%24{}",
    "/ViewDefinition/${}",
    "/Binary/1/${}",
]
CHANCE = random.Random(7)  # noqa: S311  (the same names each time)
INVENTED = [
    "".join(CHANCE.choices("abcdefghijklmnopqrstuvwxyzABCXYZ-", k=CHANCE.randint(1, 20)))
    for _ in range(200)
]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("who", [PHYSICIAN, "system"])
async def test_no_operation_that_nobody_named_goes_up(scene: Scene, place: str, who: str) -> None:
    caller = REGISTRY if who == "system" else who
    for number, name in enumerate([*NAMED, *INVENTED]):
        method = ("GET", "POST", "DELETE")[number % 3]
        kind = "application/fhir+json" if method == "POST" else ""
        body = b'{"resourceType":"Parameters"}' if method == "POST" else b""
        answer = await heard(scene, method, place.format(name), kind, body, caller)
        assert answer[9:12] in {b"400", b"404", b"405", b"501"}, name


async def test_a_refusal_says_nothing_of_what_was_asked(scene: Scene) -> None:
    answers = {
        (await heard(scene, "GET", f"/${name}")).partition(b"\r\n\r\n")[2]
        for name in ("graphql", "expunge", "x" * 40, "Patient-CANARY")
    }
    assert len(answers) == 1


async def test_an_export_is_not_reached_by_another_spelling(scene: Scene) -> None:
    for target in ("/%24export", "/$Export", "/$export/", "/Patient/zed/$export", "/Observation/$export", "/$export%00",
                   "/Group/g/x/$export", "/Patient//$export", "/group/g/$export", "/$export-status/x", "/_export"):  # fmt: skip
        answer = await heard(scene, "GET", target, who=REGISTRY)
        assert answer[9:12] in {b"400", b"404", b"501"}, target
