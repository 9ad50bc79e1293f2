"""Pro Santé Connect end to end: rights come from userinfo, in a situation of practice that no client can make up (P0, P1, T-183)."""

import asyncio
from pathlib import Path

import orjson
import pytest

from proxy.wire.userinfo import MOST_BYTES
from tests.attacks.records import PHYSICIAN, about, consent, gateway, resource
from tests.facts.consents import actor
from tests.psc import (
    CHU,
    CLINIC,
    ELSEWHERE,
    LONE,
    VIDAL,
    WORLD,
    Psc,
    activity,
    bearer,
    exercise,
    psc,
    userinfo,
)
from tests.stage import Reply

DATA = "Condition?patient=zed"
PERSON = "Practitioner/vidal"
AT_HOSPITAL, AT_CLINIC = "PractitionerRole/vidal-bloc", "PractitionerRole/vidal-clinic"


def record(member: str, *more: dict[str, object]) -> tuple[dict[str, object], ...]:
    """A patient with one member of the care team and a Consent."""
    team = resource(
        "CareTeam", "zed-team", status="active", subject={"reference": "Patient/zed"},
        participant=[{"member": {"reference": member}}],
    )  # fmt: skip
    found = about("Condition", "zc", code={"text": "seen"})
    return (resource("Patient", "zed"), team, consent("zed-permits", "permit"), found, *more)


def seen(reply: Reply) -> list[str]:
    assert reply.status == 200, reply.text
    return reply.ids


def why(scene: Psc) -> str:
    return scene.stage.entries()[-1].detail


async def test_the_care_team_of_the_hospital_is_that_of_the_hospital_alone(tmp_path: Path) -> None:
    async with psc(tmp_path, *record(AT_HOSPITAL)) as scene:
        assert seen(await scene.ask(DATA, CHU)) == ["Condition/zc"]
        assert seen(await scene.ask(DATA, f"{CHU}/10")) == ["Condition/zc"]
        assert seen(await scene.ask(DATA, CLINIC)) == []
        assert [one.actor.situation for one in scene.stage.entries()] == [
            f"{CHU}/10", f"{CHU}/10", f"{CLINIC}/10",
        ]  # fmt: skip


async def test_an_establishment_that_is_refused_is_refused_in_its_own_situation(
    tmp_path: Path,
) -> None:  # T-11 of the French requirements
    refused = consent("zed-refuses", "deny", **actor("Organization/clinic"))
    async with psc(tmp_path, *record(PERSON, refused)) as scene:
        assert seen(await scene.ask(DATA, CHU)) == ["Condition/zc"]
        assert seen(await scene.ask(DATA, CLINIC)) == []


async def test_without_a_choice_nothing_is_asked_of_upstream(tmp_path: Path) -> None:
    async with psc(tmp_path, *record(PERSON)) as scene:
        scene.upstream.calls.clear()
        for target in (DATA, "Practitioner/vidal", "Patient/zed"):
            reply = await scene.ask(target)
            assert reply.status == 403
            assert reply.json["issue"][0]["code"] == "forbidden"
        assert scene.upstream.calls == []
        entry = scene.stage.entries()[-1]
        assert "several situations" in entry.detail
        assert (entry.actor.subject, entry.actor.kind) == (VIDAL["sub"], "unknown")


@pytest.mark.parametrize(
    "forged",
    [
        ELSEWHERE, f"{CHU}/60", f"{CHU}/", "/10", "", " ", CHU + " ", f"{CHU},{CLINIC}", "Organization/chu", "*", f"1{ELSEWHERE}",
        f"{CHU}/10/10", CHU[:-1], f"0{CHU}",
    ],
)  # fmt: skip
async def test_a_situation_that_is_not_listed_cannot_be_chosen(tmp_path: Path, forged: str) -> None:
    async with psc(tmp_path, *record(PERSON)) as scene:
        scene.upstream.calls.clear()
        reply = await scene.ask(DATA, forged)
        told_without_choice = await scene.ask(DATA)
        if forged.strip() != CHU:  # HTTP itself takes away the spaces around a value
            assert (reply.status, reply.body) == (403, told_without_choice.body)
            assert scene.upstream.calls == []


async def test_the_only_situation_needs_no_choice_and_no_other_can_be_chosen(
    tmp_path: Path,
) -> None:
    async with psc(tmp_path, *record(PERSON)) as scene:
        scene.provider.told = LONE
        assert seen(await scene.ask(DATA)) == ["Condition/zc"]
        assert seen(await scene.ask(DATA, f"1{CHU}")) == ["Condition/zc"]
        assert (await scene.ask(DATA, CLINIC)).status == 403
        assert "does not list" in why(scene)


async def test_a_situation_that_is_chosen_twice_is_not_chosen(tmp_path: Path) -> None:
    async with psc(tmp_path, *record(PERSON)) as scene:
        wire = (
            f"GET /fhir/{DATA} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: {bearer()}\r\n"
            f"X-Situation: {CHU}\r\nX-Situation: {CHU}\r\n\r\n"
        )
        assert (await scene.stage.raw(wire.encode())).startswith(b"HTTP/1.1 403")
        assert "more than once" in why(scene)


NO_PROFESSIONAL = {
    "no exercise": userinfo(),
    "an exercise without activity": userinfo(exercise()),
    "an unknown profession": userinfo(exercise(activity(CHU), profession="99"), SubjectRole=["99^1.2.250.1.213.1.1.5.5"]),
    "a student": userinfo(exercise(activity(CHU), category="E")),
    "a profession that the role does not list": userinfo(exercise(activity(CHU)), SubjectRole=["60^1.2.250.1.213.1.1.5.5"]),
    "a role of another list": userinfo(exercise(activity(CHU)), SubjectRole=["10^1.2.250.1.213.1.1.4.999"]),
    "no role": userinfo(exercise(activity(CHU)), SubjectRole=None),
    "an employee of an establishment": userinfo(exercise(activity(CHU)), SubjectNameID="3699900106/1234"),
}  # fmt: skip


@pytest.mark.parametrize("name", NO_PROFESSIONAL)
async def test_who_is_no_professional_sees_no_record(tmp_path: Path, name: str) -> None:
    async with psc(tmp_path, *record(PERSON)) as scene:
        scene.provider.told = NO_PROFESSIONAL[name]
        reply = await scene.ask(DATA)
        assert reply.status == 403 or reply.ids == []


BAD = {
    "another sub": userinfo(exercise(activity(CHU)), sub="f:0:810001990026"),
    "no sub": userinfo(exercise(activity(CHU)), sub=None),
    "a sub of another type": userinfo(exercise(activity(CHU)), sub=[VIDAL["sub"]]),
    "no number": userinfo(exercise(activity(CHU)), SubjectNameID=None),
    "a number with a wrong check digit": userinfo(exercise(activity(CHU)), SubjectNameID="810001990167"),
    "weak authentication": userinfo(exercise(activity(CHU)), authMode="PASSWORD"),
    "authentication that is not told": userinfo(exercise(activity(CHU)), authMode=None),
    "exercises of another type": userinfo(SubjectRefPro={"exercices": {}}),
    "a role of another type": userinfo(exercise(activity(CHU)), SubjectRole="10"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
async def test_userinfo_that_is_not_as_it_must_be_names_nobody(tmp_path: Path, name: str) -> None:
    async with psc(tmp_path, *record(PERSON)) as scene:
        scene.provider.told = BAD[name]
        reply = await scene.ask(DATA)
        assert (reply.status, reply.headers["www-authenticate"][:6]) == (401, "Bearer")


async def test_a_token_that_userinfo_refuses_is_refused_and_not_asked_about_at_once_again(
    tmp_path: Path,
) -> None:
    async with psc(tmp_path, *record(PERSON)) as scene:
        scene.provider.status = 401
        for _ in range(3):
            assert (await scene.ask(DATA, CHU)).status == 401
        assert len(scene.provider.asked) == 1


FAILURES: dict[str, dict[str, object]] = {
    "500": {"status": 500},
    "403": {"status": 403},
    "404": {"status": 404},
    "a redirect": {"status": 302},
    "no JSON": {"told": b"<html>"},
    "a name twice": {"told": b'{"sub":"a",' + orjson.dumps(LONE)[1:]},
    "an array": {"told": b"[]"},
    "a signed answer": {"kind": "application/jwt"},
    "too much": {"told": orjson.dumps({**LONE, "x": "x" * MOST_BYTES})},
    "nothing": {"told": b""},
    "no answer in time": {"delay_s": 3.0},
}


@pytest.mark.parametrize("name", FAILURES)
async def test_without_userinfo_nobody_can_be_told_and_nothing_leaves(
    tmp_path: Path, name: str
) -> None:  # fail closed, and the token stays good (INT-6)
    async with psc(tmp_path, *record(PERSON)) as scene:
        good = scene.provider.told
        for member, value in FAILURES[name].items():
            setattr(scene.provider, member, value)
        scene.upstream.calls.clear()
        assert (await scene.ask(DATA, CHU)).status == 503
        assert scene.upstream.calls == []
        scene.provider.status, scene.provider.delay_s = 200, 0.0
        scene.provider.told, scene.provider.kind = good, "application/json"
        assert seen(await scene.ask(DATA, CHU)) == ["Condition/zc"]


async def test_a_provider_that_cannot_be_reached_is_our_trouble(tmp_path: Path) -> None:
    async with psc(tmp_path, *record(PERSON)) as scene:
        await scene.ask(DATA, CHU)
    async with psc(tmp_path, *record(PERSON)) as scene:
        scene.provider.status = 503
        assert (await scene.ask(DATA, CHU)).status == 503
        assert "userinfo" in why(scene)


async def test_many_with_one_token_ask_once_and_with_their_own_token(tmp_path: Path) -> None:
    async with psc(tmp_path, *record(PERSON)) as scene:
        scene.provider.delay_s = 0.1
        replies = await asyncio.gather(*(scene.ask(DATA, CHU) for _ in range(20)))
        assert {reply.status for reply in replies} == {200}
        assert len(scene.provider.asked) == 1
        assert scene.provider.asked[0].startswith("Bearer ey")
        await scene.ask(DATA, CHU, {"jti": "t-2"})
        assert len(set(scene.provider.asked)) == 2


async def test_a_token_whose_signature_is_wrong_is_shown_to_nobody(tmp_path: Path) -> None:
    async with psc(tmp_path, *record(PERSON)) as scene:
        refused = await scene.stage.ask(
            DATA, {"sub": "x", "iss": "https://idp.example.org", "aud": "x", "signed": "elsewhere"}
        )
        assert refused.status == 401
        assert scene.provider.asked == []


async def test_what_userinfo_says_now_counts_where_nothing_is_kept(tmp_path: Path) -> None:
    async with psc(tmp_path, *record(PERSON), cache_s=0) as scene:
        assert seen(await scene.ask(DATA, CHU)) == ["Condition/zc"]
        scene.provider.told = userinfo(exercise(activity(CLINIC)))
        assert (await scene.ask(DATA, CHU)).status == 403
        assert len(scene.provider.asked) == 2


async def test_a_page_link_is_of_the_situation_it_was_made_in(tmp_path: Path) -> None:
    more = tuple(about("Condition", f"z{n}", code={"text": "seen"}) for n in range(5))
    async with psc(tmp_path, *record(PERSON), *more) as scene:
        first = await scene.ask(f"{DATA}&_count=2", CHU)
        assert first.next is not None
        assert (await scene.ask(first.next, CLINIC)).status == 404
        assert len(seen(await scene.ask(first.next, CHU))) == 2


async def test_the_token_itself_gives_nothing(tmp_path: Path) -> None:
    claims = {"fhirUser": "Practitioner/dr-martin", "patient": "zed", "scope": "openid scope_all patient/*.rs",
              "extensions": {"ihe_iua": {"national_provider_identifier": "1", "subject_role": ["doctor"]}}}  # fmt: skip
    async with psc(tmp_path, *record("Practitioner/dr-martin")) as scene:
        assert seen(await scene.ask(DATA, CHU, claims)) == []
        scene.provider.told = userinfo()
        assert (await scene.ask(DATA, claims=claims)).status == 403


async def test_without_the_scope_of_the_identity_nothing_is_read(tmp_path: Path) -> None:
    async with psc(tmp_path, *record(PERSON)) as scene:
        assert (await scene.ask(DATA, CHU, {"scope": "openid"})).status == 403


async def test_the_situation_of_other_issuers_is_not_heard(tmp_path: Path) -> None:
    async with gateway(tmp_path, *record("Practitioner/dr-martin"), *WORLD) as (stage, _):
        plain = await stage.ask(DATA, PHYSICIAN)
        chosen = await stage.ask(DATA, PHYSICIAN, headers={"X-Situation": CLINIC})
        assert (plain.status, plain.ids, chosen.ids) == (200, ["Condition/zc"], plain.ids)
