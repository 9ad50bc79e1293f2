"""Attacks on histories: versions about somebody else, labels that come and go, entries that lie about what they are of."""

from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import web

from tests.attacks.records import NURSE, PHYSICIAN, ZED, about, gateway, resource
from tests.emergencies import open_glass
from tests.past import SINCE, Step, happen, told
from tests.stage import Json, Upstream
from tests.worlds.twins import labelled

V = {"meta": labelled("V")}
TYPE, SYSTEM, OWN = "Condition/_history", "_history", "Condition/c/_history"
EVERYWHERE = [TYPE, SYSTEM, OWN]


def condition(**more: Any) -> Json:
    return resource("Condition", "c", **{"subject": {"reference": "Patient/zed"}, **more})


def of(patient: str, text: str) -> Json:
    return condition(subject={"reference": f"Patient/{patient}"}, code={"text": text})


def by(author: str, **more: Any) -> Json:
    return condition(recorder={"reference": f"Practitioner/{author}"}, **more)


PASTS: list[tuple[str, list[Step], list[str]]] = [
    # what happened to one instance; the versions of it that a physician of Zed's care team is shown, deletions as `-n`
    ("handed over by another patient", [of("noe", "CANARY"), of("zed", "ours")], ["2"]),
    ("handed over to another patient", [of("zed", "CANARY"), of("noe", "CANARY")], []),
    ("handed over and back", [of("zed", "a"), of("noe", "CANARY"), of("zed", "b")], ["3", "1"]),
    ("hidden now", [condition(code={"text": "CANARY"}), condition(**V)], []),
    ("hidden once", [condition(**V, code={"text": "CANARY"}), condition()], ["2"]),
    ("hidden in between", [condition(code={"text": "a"}), condition(**V, code={"text": "CANARY"}), condition(code={"text": "b"})], ["3", "1"]),
    ("deleted", [condition(), "Condition/c"], ["-2", "1"]),
    ("deleted when hidden", [condition(code={"text": "CANARY"}), condition(**V), "Condition/c"], []),
    ("hidden, shown, deleted", [condition(**V, code={"text": "CANARY"}), condition(), "Condition/c"], ["-3", "2"]),
    ("deleted when another's", [of("zed", "CANARY"), of("noe", "CANARY"), "Condition/c"], []),
    ("deleted when hidden, and back", [condition(**V, code={"text": "CANARY"}), "Condition/c", condition()], ["3"]),
    ("deleted when another's, and back", [of("noe", "CANARY"), "Condition/c", of("zed", "ours")], ["3"]),
    ("deleted, back, and hidden", [condition(code={"text": "CANARY"}), "Condition/c", condition(**V)], []),
    ("deleted, back as another's, deleted", [of("zed", "CANARY"), "Condition/c", of("noe", "CANARY"), "Condition/c"], []),
    ("deleted twice", [condition(code={"text": "a"}), "Condition/c", condition(code={"text": "b"}), "Condition/c"], ["-4", "3", "-2", "1"]),
    ("very restricted by the one who asks", [by("dr-vernay", code={"text": "CANARY"}), by("dr-martin", **V)], ["2"]),
    ("about nobody once", [condition(subject={"display": "CANARY"}), condition()], ["2"]),
    ("a label nobody knows, once", [condition(meta={"security": [{"system": "x", "code": "CANARY"}]}), condition()], ["2"]),
]  # fmt: skip


def numbers(entries: list[tuple[str, str, str]]) -> list[str]:
    return [f"-{number}" if method == "DELETE" else number for method, _, number in entries]


@pytest.mark.parametrize(("name", "steps", "shown"), PASTS)
async def test_an_older_version_needs_what_the_newest_needs(
    tmp_path: Path, name: str, steps: list[Step], shown: list[str]
) -> None:
    async with gateway(tmp_path, *ZED) as (stage, upstream):
        happen(upstream.world.store, steps)
        for path in EVERYWHERE:
            reply = await stage.ask(f"{path}?{SINCE}", PHYSICIAN)
            assert "CANARY" not in reply.text, name
            if shown or path != OWN:
                assert numbers(told(reply)) == shown, (name, path)
            else:
                assert reply.status == 404
        for number in range(1, 5):
            read = await stage.ask(f"{OWN}/{number}", PHYSICIAN)
            assert (read.status == 200) == (str(number) in shown), (name, number)


async def test_a_deletion_is_told_to_who_saw_what_it_ended(tmp_path: Path) -> None:
    steps: list[Step] = [condition(code={"text": "a"}), "Condition/c"]
    async with gateway(tmp_path, *ZED) as (stage, upstream):
        happen(upstream.world.store, steps)
        for who, shown in ((PHYSICIAN, 2), (NURSE, 2), ("outside-clinician", 0), ("patient", 0)):
            for path in (TYPE, SYSTEM):
                reply = await stage.ask(f"{path}?{SINCE}", who)
                assert len(told(reply)) == shown, (who, path)
                assert shown or "Condition" not in str(reply.json.get("entry"))


# ---- entries that lie ------------------------------------------------------------------------------------------------


def version(own: str = "c", number: str = "1", **entry: Any) -> Json:
    held = about("Condition", own) | {"meta": {"versionId": number, "lastUpdated": "2026-11-22T08:00:00Z"}}  # fmt: skip
    held.pop("language")
    return {"resource": held, "request": {"method": "PUT", "url": f"Condition/{own}"}, **entry}


def deletion(own: str, **entry: Any) -> Json:
    return {"request": {"method": "DELETE", "url": f"Condition/{own}"}, **entry}


OBSERVATION = resource("Observation", "o", subject={"reference": "Patient/zed"})
LIES = [
    ("the resource is another than its url says", version(number="9", request={"method": "PUT", "url": "Condition/hidden"})),
    ("the fullUrl names another", version(number="9", fullUrl="$UPSTREAM/Condition/hidden")),
    ("a deletion of two", deletion("c", fullUrl="$UPSTREAM/Condition/hidden")),
    ("a deletion of what nobody has", deletion("never-there")),
    ("a deletion of what is hidden", deletion("hidden")),
    ("a deletion of many", deletion("c,hidden")),
    ("a deletion elsewhere", {"request": {"method": "DELETE", "url": "https://elsewhere.example.org/Condition/c"}}),
    ("a deletion of a query", {"request": {"method": "DELETE", "url": "Condition?patient=noe"}}),
    ("a deletion of another type", {"request": {"method": "DELETE", "url": "Consent/noe-consent"}}),
    ("a deletion that holds what is hidden", deletion("c", resource=about("Condition", "hidden"))),
    ("neither version nor deletion", {"request": {"method": "PUT", "url": "Condition/c"}}),
    ("nothing at all", {}),
    ("another method in small letters", {"request": {"method": "delete", "url": "Condition/c"}}),
    ("of another type", {"resource": OBSERVATION, "request": {"method": "PUT", "url": "Observation/o"}}),
    ("a deletion of another type", deletion("o", request={"method": "DELETE", "url": "Observation/o"})),
    ("of a type nobody knows", {"resource": resource("Nothing", "n"), "request": {"method": "PUT", "url": "Nothing/n"}}),
    ("without an id", {"resource": {"resourceType": "Condition", "subject": {"reference": "Patient/zed"}}, "request": {"method": "PUT", "url": "Condition/c"}}),
    ("an id that is a list", version("c,hidden")),
    ("a fullUrl that is no text", version(number="9", fullUrl={"a": 1})),
    ("a request that is no object", version(number="9", request="PUT")),
]  # fmt: skip


@pytest.mark.parametrize(("name", "entry"), LIES)
async def test_an_entry_that_lies_is_left_out_and_the_others_stay(
    tmp_path: Path, name: str, entry: Json
) -> None:
    hidden = resource("Condition", "hidden", subject={"reference": "Patient/noe"})
    async with gateway(tmp_path, *ZED) as (stage, upstream):
        happen(upstream.world.store, [condition(), hidden, OBSERVATION])
        text = orjson.dumps(entry).decode().replace("$UPSTREAM", upstream.url)
        _answer(upstream, f"{orjson.dumps(version()).decode()},{text}".encode())
        reply = await stage.ask(TYPE, PHYSICIAN)
        assert told(reply) == [("PUT", "Condition/c", "1")], name
        assert reply.json["total"] == 1


def _answer(upstream: Upstream, entries: bytes) -> None:
    """The history of the type holds these entries; everything else is as it is."""
    body = b'{"resourceType":"Bundle","type":"history","total":77,"entry":[%b]}' % entries

    async def override(request: web.BaseRequest) -> web.StreamResponse | None:
        if not request.raw_path.removeprefix("/fhir").startswith("/Condition/_history"):
            return None
        return web.Response(body=body, headers={"Content-Type": "application/fhir+json"})

    upstream.override = override


ORDERS: list[tuple[list[int], list[str]]] = [
    # the entries of a page, newest first; which deletions show
    ([3, -2, 1], ["-2"]),
    ([5, -4, 2], []),
    ([3, -2], ["-2"]),
    ([3, -1], []),
    ([5, -4, -3, 2], ["-3"]),
]


@pytest.mark.parametrize(("order", "shown"), ORDERS)
async def test_a_deletion_that_does_not_follow_what_stands_below_it_is_left_out(
    tmp_path: Path, order: list[int], shown: list[str]
) -> None:
    steps: list[Step] = [
        condition(code={"text": "a"}),
        "Condition/c",
        condition(code={"text": "b"}),
    ]
    async with gateway(tmp_path, *ZED) as (stage, upstream):
        happen(upstream.world.store, steps)
        entries = [
            deletion("c", response={"etag": f'W/"{-one}"'}) if one < 0 else _numbered(one)
            for one in order
        ]
        _answer(upstream, b",".join(map(orjson.dumps, entries)))
        found = numbers(told(await stage.ask(TYPE, PHYSICIAN)))
        assert [one for one in found if one.startswith("-")] == shown


def _numbered(number: int) -> Json:
    return version(number=str(number))


async def test_another_version_than_was_asked_for_says_nothing_of_a_deletion(
    tmp_path: Path,
) -> None:
    steps: list[Step] = [condition(**V), "Condition/c", condition()]
    async with gateway(tmp_path, *ZED) as (stage, upstream):
        happen(upstream.world.store, steps)
        entries = [_numbered(3), deletion("c", response={"etag": 'W/"2"'})]
        _answer(upstream, b",".join(map(orjson.dumps, entries)))
        whole = upstream.override
        assert whole is not None

        async def override(request: web.BaseRequest) -> web.StreamResponse | None:
            if request.raw_path.endswith("/Condition/c/_history/1"):
                body = orjson.dumps(_numbered(3)["resource"])
                return web.Response(body=body, headers={"Content-Type": "application/fhir+json"})
            return await whole(request)

        upstream.override = override
        assert numbers(told(await stage.ask(TYPE, PHYSICIAN))) == ["3"]


async def test_nothing_of_upstreams_own_words_leaves(tmp_path: Path) -> None:
    response = {"status": "CANARY", "etag": "CANARY", "lastModified": "CANARY", "location": "CANARY", "outcome": {"resourceType": "CANARY"}}  # fmt: skip
    entries = [
        version(response=response, link=[{"relation": "CANARY", "url": "CANARY"}], id="CANARY"),
        deletion("gone", response={**response, "etag": 'W/"2"'}, fullUrl="urn:uuid:CANARY"),
        deletion("kept", response=response),
    ]
    gone = resource("Condition", "gone", subject={"reference": "Patient/zed"})
    async with gateway(tmp_path, *ZED) as (stage, upstream):
        happen(upstream.world.store, [condition(), gone, "Condition/gone"])
        _answer(upstream, b",".join(map(orjson.dumps, entries)))
        reply = await stage.ask(TYPE, PHYSICIAN)
        methods = [entry["request"] for entry in reply.json["entry"]]
        assert [one["method"] for one in methods] == ["PUT", "DELETE"]
        assert "CANARY" not in reply.text
        assert "127.0.0.1" not in reply.text


async def test_a_system_history_holds_what_the_directory_and_the_record_hold(
    tmp_path: Path,
) -> None:
    """Consents, access records and provenance are judged like everywhere: whoever may not read them finds none in a history."""
    steps: list[Step] = [
        resource("AuditEvent", "zed-audit", entity=[{"what": {"reference": "Patient/zed"}}], recorded="2026-01-01T00:00:00Z"),
        resource("Provenance", "zed-provenance", target=[{"reference": "Patient/zed"}], recorded="2026-01-01T00:00:00Z"),
        resource("Consent", "zed-second", status="draft", patient={"reference": "Patient/zed"}),
        resource("Basic", "zed-basic", subject={"reference": "Patient/zed"}, code={"text": "x"}),
        resource("Parameters", "p"), resource("Subscription", "s", criteria="CANARY"),
        condition(),
        resource("Location", "l", name="open to everyone"),
    ]  # fmt: skip
    async with gateway(tmp_path, *ZED) as (stage, upstream):
        happen(upstream.world.store, steps)
        seen = {one for _, one, _ in told(await stage.ask(f"{SYSTEM}?{SINCE}", PHYSICIAN))}
        read = {f"{one['resourceType']}/{one['id']}" for one in steps if not isinstance(one, str)}
        readable = {one for one in read if (await stage.ask(one, PHYSICIAN)).status == 200}
        assert seen == readable
        assert {"Condition/c", "Location/l"} <= seen
        assert seen.isdisjoint({"Consent/zed-second", "AuditEvent/zed-audit"})


async def test_a_grant_opens_one_record_and_no_history_of_many(tmp_path: Path) -> None:
    who = "outside-clinician"
    async with gateway(tmp_path, *ZED) as (stage, _):
        assert (await open_glass(stage, who)).status == 200
        assert (await stage.ask("Observation?patient=noe", who)).ids
        for path in (SYSTEM, "Observation/_history?_count=1000", "Patient/_history?_count=1000"):
            entries = await stage.ask(path, who)
            assert "Patient/noe" not in entries.text
