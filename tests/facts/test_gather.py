import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import orjson
import pytest

from proxy.errors import UnusableError, UpstreamError
from proxy.facts.actors import names_any
from proxy.facts.denylist import excluded
from proxy.facts.gather import MAX_CONSENTS, Gatherer, GatherSettings
from proxy.facts.model import PatientFacts
from proxy.fhir.coding import Identifier
from proxy.identity.principal import PrincipalKind, Situation
from tests.facts.consents import PARIS, actor, data, deny, permit, r4
from tests.facts.test_activity import appointment, encounter, episode
from tests.facts.test_cache import Clock
from tests.facts.test_relationship import NOW, TEAM, principal

Json = dict[str, Any]


class Upstream:
    """A FHIR server of a few resources that knows the searches of the gatherer; faults by resource type."""

    def __init__(self, *resources: Json) -> None:
        self.resources = list(resources)
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.failing: set[str] = set()
        self.ignoring: set[str] = set()
        self.extra: list[bytes] = []
        self.poison: set[str] = set()
        """Names in a search that make it fail."""

    async def search(
        self, resource_type: str, parameters: Sequence[tuple[str, str]]
    ) -> list[bytes]:
        self.asked.append((resource_type, dict(parameters)))
        assert all(value for _, value in parameters), (
            "an empty parameter means everything to many servers"
        )
        await asyncio.sleep(0)
        values = {one for _, value in parameters for one in value.split(",")}
        if resource_type in self.failing or not self.poison.isdisjoint(values):
            raise UpstreamError("down")
        found = [one for one in self.resources if one["resourceType"] == resource_type]
        if resource_type not in self.ignoring:
            found = [one for one in found if all(matches(one, *pair) for pair in parameters)]
        return [orjson.dumps(one) for one in found] + self.extra


def matches(resource: Json, name: str, value: str) -> bool:
    values = value.split(",")
    if name == "_id":
        return resource["id"] in values
    if name == "status":
        return resource.get("status") in values
    if name == "date":
        return True  # what this server cannot compare it does not leave out
    if name == "identifier":
        return any(
            f"{one['system']}|{one['value']}" in values for one in resource.get("identifier", [])
        )
    parts = [one.get("actor", {}) for one in resource.get("participant", [])]
    named = [resource.get(name) or resource.get("subject") or {}, *parts]
    return any(one.get("reference") in values for one in named)


def gatherer(upstream: Upstream, clock: Callable[[], float] | None = None, **more: Any) -> Gatherer:
    settings = GatherSettings("4.0.1", PARIS, wanted=frozenset({"care-team"}))
    return Gatherer(upstream, replace(settings, **more), clock or (lambda: NOW))


def consent(patient: str, own: str, provision: Json | None = None) -> Json:
    return r4(provision or permit(), own=own, patient=f"Patient/{patient}")


async def facts_of(gathering: Gatherer, patient: str) -> PatientFacts:
    return (await gathering.patients([f"Patient/{patient}"]))[f"Patient/{patient}"]


async def test_facts_are_sorted_by_patient() -> None:
    upstream = Upstream(consent("p1", "c1"), consent("p2", "c2"), TEAM)
    known = await gatherer(upstream).patients(["Patient/p1", "Patient/p2", "Patient/p3"])
    directives = {
        patient: [one.reference for one in facts.directives or ()]
        for patient, facts in known.items()
    }
    assert directives == {
        "Patient/p1": ["Consent/c1"],
        "Patient/p2": ["Consent/c2"],
        "Patient/p3": [],
    }
    assert [len(facts.memberships or ()) for facts in known.values()] == [1, 0, 0]


async def test_a_thousand_patients_need_few_look_ups() -> None:
    patients = [f"p{number}" for number in range(1000)]
    group = {
        "resourceType": "Group",
        "id": "g",
        "member": [{"entity": {"reference": "Practitioner/a"}}],
    }
    upstream = Upstream(
        *(consent(one, f"c-{one}", deny(actor("Group/g"))) for one in patients), group
    )
    gathering = gatherer(
        upstream, wanted=frozenset({"care-team", "general-practitioner", "guardian"})
    )
    known = await gathering.patients([f"Patient/{one}" for one in patients])
    assert len(upstream.asked) <= 20
    assert all(facts.directives and facts.memberships is not None for facts in known.values())


async def test_only_the_wanted_relationships_are_looked_up() -> None:
    upstream = Upstream()
    await facts_of(gatherer(upstream, wanted=frozenset({"guardian", "self"})), "p1")
    assert [kind for kind, _ in upstream.asked] == ["Consent", "RelatedPerson"]


async def test_another_patients_and_inactive_resources_are_not_believed() -> None:
    upstream = Upstream(
        consent("p2", "c2", deny()),
        TEAM | {"subject": {"reference": "Patient/p2"}},
        TEAM | {"status": "inactive"},
    )
    upstream.ignoring = {"Consent", "CareTeam"}
    known = await facts_of(gatherer(upstream), "p1")
    assert (known.directives, known.memberships) == ((), ())


async def test_a_consent_of_nobody_in_particular_might_be_anybodys() -> None:
    upstream = Upstream(r4(deny(), patient="http://elsewhere.example.org/Patient/p1"))
    upstream.ignoring = {"Consent"}
    [directive] = (await facts_of(gatherer(upstream), "p1")).directives or ()
    assert directive.problem


@pytest.mark.parametrize(
    ("failing", "unknown"), [("Consent", (True, False)), ("CareTeam", (False, True))]
)
async def test_a_failed_look_up_is_unknown_and_not_kept(
    failing: str, unknown: tuple[bool, bool]
) -> None:
    upstream = Upstream(consent("p1", "c1"), TEAM)
    upstream.failing = {failing}
    gathering = gatherer(upstream)
    known = await facts_of(gathering, "p1")
    assert (known.directives is None, known.memberships is None) == unknown
    upstream.failing = set()
    known = await facts_of(gathering, "p1")
    assert known.directives
    assert known.memberships


@pytest.mark.parametrize(
    "extra",
    [
        b"",
        b"<html>",
        b"[]",
        b'{"resourceType":"OperationOutcome"}',
        b'{"resourceType":"Consent"',
        b"null",
    ],
)
async def test_an_answer_with_anything_else_in_it_is_unknown(extra: bytes) -> None:
    upstream = Upstream(consent("p1", "c1"))
    upstream.extra = [extra]
    assert (await facts_of(gatherer(upstream), "p1")).directives is None


async def test_failures_stay_within_their_chunk_and_the_budget_bounds_all() -> None:
    upstream = Upstream()
    known = await gatherer(upstream, max_lookups=3).patients(
        [f"Patient/p{number}" for number in range(1000)]
    )
    assert len(upstream.asked) == 3
    assert {facts.directives for facts in known.values()} == {(), None}


async def test_facts_are_kept_and_forgotten() -> None:
    clock, upstream = Clock(), Upstream(consent("p1", "c1"))
    gathering = gatherer(upstream, clock)
    await facts_of(gathering, "p1")
    await facts_of(gathering, "p1")
    assert len(upstream.asked) == 2
    upstream.resources = [consent("p1", "c9", deny())]
    gathering.invalidate("Patient/p1")
    [directive] = (await facts_of(gathering, "p1")).directives or ()
    assert directive.reference == "Consent/c9"


async def test_what_is_no_patient_is_unknown_without_a_look_up() -> None:
    upstream = Upstream()
    known = await gatherer(upstream).patients(["Group/g"])
    assert known["Group/g"].directives is None
    assert upstream.asked == []


async def test_nobody_asked_nothing_looked_up() -> None:
    upstream = Upstream()
    assert await gatherer(upstream).patients([]) == {}
    assert upstream.asked == []


async def test_members_of_named_groups_and_dead_actors_are_resolved() -> None:
    group = {
        "resourceType": "Group",
        "id": "g",
        "member": [{"entity": {"reference": "Practitioner/a"}}],
    }
    alive = {"resourceType": "Practitioner", "id": "b"}
    exceptions = (
        permit(actor("Group/g")),
        deny(actor("Practitioner/b", "Practitioner/gone", "CareTeam/gone")),
    )
    upstream = Upstream(consent("p1", "c1", deny(but=exceptions)), group, alive)
    [directive] = (await facts_of(gatherer(upstream), "p1")).directives or ()
    actors = {one.reference: one for node in directive.root.nodes() for one in node.actors}
    assert actors["Group/g"].members == frozenset({"Practitioner/a"})
    assert {name for name, one in actors.items() if one.dead} == {
        "Practitioner/gone",
        "CareTeam/gone",
    }


async def test_what_a_related_instance_refers_to_is_resolved() -> None:
    encounter = {
        "resourceType": "Encounter",
        "id": "e",
        "diagnosis": [{"condition": {"reference": "Condition/x"}}],
    }
    upstream = Upstream(consent("p1", "c1", deny(data("related", "Encounter/e"))), encounter)
    [directive] = (await facts_of(gatherer(upstream), "p1")).directives or ()
    assert directive.root.data[0].mentions == frozenset({"Condition/x"})


async def test_a_consent_whose_group_cannot_be_asked_is_unknown() -> None:
    upstream = Upstream(consent("p1", "c1", deny(actor("Group/g"))), consent("p2", "c2"))
    upstream.failing = {"Group"}
    known = await gatherer(upstream).patients(["Patient/p1", "Patient/p2"])
    assert known["Patient/p1"].directives is None
    assert known["Patient/p2"].directives


async def test_a_group_whose_membership_ends_is_looked_up_again() -> None:
    member = {"entity": {"reference": "Practitioner/a"}, "period": {"end": "2024-06-01"}}
    upstream = Upstream(
        consent("p1", "c1", deny(actor("Group/g"))),
        {"resourceType": "Group", "id": "g", "member": [member]},
    )
    clock = Clock()
    clock.now = NOW + 86_400 - 10
    gathering = gatherer(upstream, clock)
    for expected in (frozenset({"Practitioner/a"}), frozenset()):
        [directive] = (await facts_of(gathering, "p1")).directives or ()
        assert directive.root.actors[0].members == expected
        clock.now += 11


async def test_the_sentinel_passes_an_upstream_that_honours_the_searches() -> None:
    upstream = Upstream(consent("p1", "c1"), TEAM)
    await gatherer(upstream).sentinel("no-such-patient")
    assert [kind for kind, _ in upstream.asked] == ["Consent", "CareTeam"]


@pytest.mark.parametrize("ignoring", ["Consent", "CareTeam"])
async def test_the_sentinel_refuses_an_upstream_that_ignores_a_search(ignoring: str) -> None:
    upstream = Upstream(consent("p1", "c1"), TEAM)
    upstream.ignoring = {ignoring}
    with pytest.raises(
        UnusableError, match=f"finds a {ignoring} for a patient that does not exist"
    ):
        await gatherer(upstream).sentinel("no-such-patient")


ROLE = {
    "resourceType": "PractitionerRole",
    "id": "r",
    "practitioner": {"reference": "Practitioner/a"},
    "organization": {"reference": "Organization/ward"},
}
PEOPLE: list[Json] = [
    ROLE,
    {
        "resourceType": "Practitioner",
        "id": "a",
        "identifier": [{"system": "urn:rpps", "value": "8"}],
    },
    {
        "resourceType": "Organization",
        "id": "ward",
        "partOf": {"reference": "Organization/hospital"},
    },
    {
        "resourceType": "Organization",
        "id": "hospital",
        "identifier": [{"system": "urn:finess", "value": "1"}],
    },
]
WHOLE = {"Practitioner/a", "PractitionerRole/r", "Organization/ward", "Organization/hospital"}


@pytest.mark.parametrize(
    "who",
    [
        principal(),
        principal(fhir_user="PractitionerRole/r"),
        principal(fhir_user=None, identifiers=frozenset({Identifier("urn:rpps", "8")})),
    ],
)
async def test_a_professional_is_found_by_person_by_role_and_by_identifier(who: Any) -> None:
    closure = await gatherer(Upstream(*PEOPLE)).closure(who)
    assert closure.references == WHOLE
    assert closure.identifiers == {Identifier("urn:rpps", "8"), Identifier("urn:finess", "1")}
    assert closure.complete


async def test_two_professionals_with_one_identifier_are_nobody_in_particular() -> None:
    twin = {
        "resourceType": "Practitioner",
        "id": "b",
        "identifier": [{"system": "urn:rpps", "value": "8"}],
    }
    who = principal(fhir_user=None, identifiers=frozenset({Identifier("urn:rpps", "8")}))
    closure = await gatherer(Upstream(*PEOPLE, twin)).closure(who)
    assert not closure.complete
    assert closure.references == frozenset()


@pytest.mark.parametrize("failing", ["PractitionerRole", "Practitioner", "Organization"])
async def test_a_closure_that_could_not_be_looked_up_is_incomplete_and_not_kept(
    failing: str,
) -> None:
    upstream = Upstream(*PEOPLE)
    upstream.failing = {failing}
    gathering = gatherer(upstream)
    assert not (await gathering.closure(principal())).complete
    upstream.failing = set()
    assert (await gathering.closure(principal())).complete


async def test_a_patient_is_looked_up_nowhere() -> None:
    upstream = Upstream()
    closure = await gatherer(upstream).closure(
        principal(fhir_user="Patient/p1", kind=PrincipalKind.PATIENT)
    )
    assert closure.references == {"Patient/p1"}
    assert upstream.asked == []


async def test_organisations_are_followed_up_to_a_bound() -> None:
    chain: list[Json] = [
        {
            "resourceType": "Organization",
            "id": f"o{n}",
            "partOf": {"reference": f"Organization/o{n + 1}"},
        }
        for n in range(50)
    ]
    role = ROLE | {"organization": {"reference": "Organization/o0"}}
    upstream = Upstream(role, PEOPLE[1], *chain)
    assert not (await gatherer(upstream).closure(principal())).complete
    assert len(upstream.asked) <= 20


async def test_callers_do_not_share_a_closure() -> None:
    gathering = gatherer(Upstream(*PEOPLE))
    one, other = await asyncio.gather(
        gathering.closure(principal()), gathering.closure(principal(fhir_user="Practitioner/b"))
    )
    assert other.references == {"Practitioner/b"}
    assert one.references == WHOLE


async def test_a_role_that_ends_ends_the_closure() -> None:
    clock = Clock()
    clock.now = NOW + 86_400 - 10
    upstream = Upstream(ROLE | {"period": {"end": "2024-06-01"}}, *PEOPLE[1:])
    gathering = gatherer(upstream, clock)
    assert "PractitionerRole/r" in (await gathering.closure(principal())).references
    clock.now += 11
    assert "PractitionerRole/r" not in (await gathering.closure(principal())).references


async def test_after_a_change_of_people_everything_is_looked_up_again() -> None:
    upstream = Upstream(*PEOPLE)
    gathering = gatherer(upstream)
    await gathering.closure(principal())
    upstream.resources = [ROLE | {"active": False}, *PEOPLE[1:]]
    gathering.forget()
    assert (await gathering.closure(principal())).references == {"Practitioner/a"}


async def test_a_patient_with_more_consents_than_can_be_read_is_unknown_alone() -> None:
    many = (consent("p1", f"c{number}") for number in range(MAX_CONSENTS + 1))
    known = await gatherer(Upstream(*many, consent("p2", "c"))).patients(
        ["Patient/p1", "Patient/p2"]
    )
    assert known["Patient/p1"].directives is None
    assert known["Patient/p2"].directives


async def test_a_consent_of_a_group_might_be_any_members() -> None:
    upstream = Upstream(r4(deny(), patient="Group/g"))
    upstream.ignoring = {"Consent"}
    [directive] = (await facts_of(gatherer(upstream), "p1")).directives or ()
    assert directive.problem


# ---- what proves a care team -----------------------------------------------------------------------------------

EVERY_SOURCE = frozenset({"CareTeam", "Encounter", "EpisodeOfCare", "Appointment"})
ACTIVITY = {
    "Encounter": encounter(),
    "EpisodeOfCare": episode(),
    "Appointment": appointment(),
    "CareTeam": TEAM,
}


@pytest.mark.parametrize("source", sorted(EVERY_SOURCE))
async def test_only_what_the_policy_names_proves_a_care_team(source: str) -> None:
    upstream = Upstream(*ACTIVITY.values())
    known = await facts_of(gatherer(upstream, care_team_from=frozenset({source})), "p1")
    assert {one.source.partition("/")[0] for one in known.memberships or ()} == {source}
    assert {kind for kind, _ in upstream.asked} == {"Consent", source}


async def test_the_sentinel_tries_what_the_policy_names() -> None:
    upstream = Upstream()
    await gatherer(upstream, care_team_from=EVERY_SOURCE, grace_days=2).sentinel("nobody")
    asked = [kind for kind, _ in upstream.asked]
    # what has ended is another search than what goes on
    assert sorted(asked) == sorted([*EVERY_SOURCE, "Consent", "Encounter", "EpisodeOfCare"])
    assert all("Patient/nobody" in search["patient"] for _, search in upstream.asked)


async def test_the_teams_of_an_episode_are_looked_up() -> None:
    named = episode(careManager=None, team=[{"reference": "CareTeam/t"}, {"reference": "CareTeam/gone"}])  # fmt: skip
    settings: Json = {"care_team_from": frozenset({"EpisodeOfCare"})}
    known = await facts_of(gatherer(Upstream(named, TEAM), **settings), "p1")
    assert [one.actor.reference for one in known.memberships or ()] == ["Practitioner/a"]
    upstream = Upstream(named, TEAM)
    upstream.failing = {"CareTeam"}
    known = await facts_of(gatherer(upstream, **settings), "p1")
    assert known.memberships is None
    assert known.directives == ()


async def test_an_appointment_of_two_patients_is_an_appointment_of_each() -> None:
    second = appointment()["participant"] + [{"actor": {"reference": "Patient/p2"}}]
    gathering = gatherer(
        Upstream(appointment(participant=second)), care_team_from=frozenset({"Appointment"})
    )
    known = await gathering.patients(["Patient/p1", "Patient/p2", "Patient/p3"])
    assert [len(facts.memberships or ()) for facts in known.values()] == [1, 1, 0]


# ---- one record that cannot be read ----------------------------------------------------------------------------


def patients(count: int) -> list[str]:
    return [f"Patient/p{number}" for number in range(count)]


@pytest.mark.parametrize("count", [2, 100, 1000])
async def test_a_patient_whose_look_up_fails_is_unknown_alone(count: int) -> None:
    upstream = Upstream(*(consent(f"p{n}", f"c{n}") for n in range(count)))
    upstream.poison = {"Patient/p1"}
    known = await gatherer(upstream, wanted=frozenset()).patients(patients(count))
    assert [one for one, facts in known.items() if not facts.directives] == ["Patient/p1"]
    assert len(upstream.asked) <= 2 * 20


async def test_a_group_that_cannot_be_read_is_unknown_to_whom_names_it_alone() -> None:
    groups = [{"resourceType": "Group", "id": f"g{n}", "member": []} for n in range(8)]
    consents = [consent(f"p{n}", f"c{n}", deny(actor(f"Group/g{n}"))) for n in range(8)]
    upstream = Upstream(*consents, *groups)
    upstream.poison = {"g3"}
    known = await gatherer(upstream).patients(patients(8))
    assert [one for one, facts in known.items() if facts.directives is None] == ["Patient/p3"]


async def test_an_upstream_that_fails_is_not_asked_again_and_again() -> None:
    upstream = Upstream()
    upstream.failing = {"Consent"}
    known = await gatherer(upstream, wanted=frozenset()).patients(patients(200))
    assert len(upstream.asked) == 3
    assert all(facts.directives is None for facts in known.values())


async def test_a_consent_of_nobody_in_particular_is_held_against_whom_it_is_found_for() -> None:
    class Odd(Upstream):
        """Finds p1 by another name, as a server does that knows several base URLs."""

        async def search(
            self, resource_type: str, parameters: Sequence[tuple[str, str]]
        ) -> list[bytes]:
            found = await super().search(resource_type, parameters)
            whose = dict(parameters).get("patient", "").split(",")
            if resource_type == "Consent" and "Patient/p1" in whose:
                alias = r4(deny(), patient="http://alias.example.org/Patient/p1")
                found.append(orjson.dumps(alias))
            return found

    known = await gatherer(Odd()).patients(patients(8))
    troubled = [one for one, facts in known.items() if facts.directives]
    assert troubled == ["Patient/p1"]


# ---- a deny names the person -----------------------------------------------------------------------------------

ENDED = ROLE | {"id": "old", "active": False, "period": {"end": "2020"}}
TWIN = {"resourceType": "Practitioner", "id": "a2", "identifier": [{"system": "urn:rpps", "value": "8"}]}  # fmt: skip
UNTOLD = {"resourceType": "PractitionerRole", "id": "old", "practitioner": {"display": "Dr A"}}
STRANGER = {"resourceType": "Practitioner", "id": "z", "identifier": [{"system": "urn:rpps", "value": "9"}]}  # fmt: skip
OTHERS = ROLE | {"id": "old", "practitioner": {"reference": "Practitioner/z"}}
VACANT = {"resourceType": "PractitionerRole", "id": "old"}


@pytest.mark.parametrize(
    ("named", "there", "denied"),
    [
        ("PractitionerRole/old", ENDED, True),
        ("Practitioner/a2", TWIN, True),
        ("PractitionerRole/old", UNTOLD, None),
        ("PractitionerRole/old", STRANGER, None),  # dead: it may be anybody's
        ("PractitionerRole/old", OTHERS, False),
        ("PractitionerRole/old", VACANT, False),
        ("Practitioner/z", STRANGER, False),
    ],
)
async def test_a_deny_names_the_person_by_any_role_and_any_record(
    named: str, there: Json, denied: bool | None
) -> None:
    gathering = gatherer(Upstream(consent("p1", "c1", deny(actor(named))), there, *PEOPLE))
    closure = await gathering.closure(principal())
    known = await facts_of(gathering, "p1")
    assert closure.complete
    assert excluded(known.directives, closure, NOW) is denied


@pytest.mark.parametrize(("named", "there"), [("PractitionerRole/old", ENDED), ("Practitioner/a2", TWIN)])  # fmt: skip
async def test_a_permit_names_nobody_by_a_role_that_has_ended_or_a_double_record(
    named: str, there: Json
) -> None:
    exceptions = (permit(actor(named)), deny(actor(named)))
    gathering = gatherer(Upstream(consent("p1", "c1", deny(but=exceptions)), there, *PEOPLE))
    closure = await gathering.closure(principal())
    [directive] = (await facts_of(gathering, "p1")).directives or ()
    [opening, shutting] = directive.root.provisions
    assert names_any(opening.actors, closure) is not True
    assert names_any(shutting.actors, closure) is True


async def test_a_group_in_which_somebody_cannot_be_told_may_hold_anybody() -> None:
    group = {"resourceType": "Group", "id": "g", "member": [{"entity": {"display": "Dr A"}}]}
    exceptions = (permit(actor("Group/g")), deny(actor("Group/g")))
    gathering = gatherer(Upstream(consent("p1", "c1", deny(but=exceptions)), group, *PEOPLE))
    closure = await gathering.closure(principal())
    [directive] = (await facts_of(gathering, "p1")).directives or ()
    assert [names_any(one.actors, closure) for one in directive.root.provisions] == [None, None]


# ---- findings --------------------------------------------------------------------------------------------------


async def told(upstream: Upstream, asked: list[str], **more: Any) -> list[tuple[str, str]]:
    heard: list[tuple[str, str]] = []
    gathering = gatherer(upstream, **more)
    for _ in range(2):  # the second time from what is kept
        await gathering.patients(asked, lambda kind, about: heard.append((kind.value, about)))
    return heard


async def test_what_cannot_be_understood_is_told_once() -> None:
    unreadable = consent("p1", "c1") | {"modifierExtension": [{"url": "x"}]}
    upstream = Upstream(unreadable, consent("p1", "c2", deny(actor("Practitioner/gone"))))
    [dead, broken] = sorted(await told(upstream, ["Patient/p1"]))
    assert dead[0] == "dead-reference"
    assert dead[1].startswith("Consent/c2 ")
    assert dead[1].endswith("Practitioner/gone")
    assert broken[0] == "unreadable-consent"
    assert broken[1].startswith("Consent/c1: ")


async def test_a_look_up_that_fails_is_told_with_whose_it_is() -> None:
    upstream = Upstream()
    upstream.poison = {"Patient/p1"}
    heard = await told(upstream, patients(8), wanted=frozenset())
    assert set(heard) == {("failed-look-up", "Consent of Patient/p1")}


async def test_a_look_up_that_cannot_be_afforded_is_told() -> None:
    heard = await told(Upstream(), ["Patient/p1"], max_lookups=1)
    assert set(heard) == {("unaffordable-look-up", "CareTeam")}


async def test_too_many_consents_are_told() -> None:
    many = Upstream(*(consent("p1", f"c{number}") for number in range(MAX_CONSENTS + 1)))
    assert set(await told(many, ["Patient/p1"])) == {("too-many-consents", "Patient/p1")}


async def test_a_record_without_fault_tells_nothing() -> None:
    assert await told(Upstream(consent("p1", "c1"), TEAM), ["Patient/p1"]) == []


async def test_what_a_caller_is_is_kept_for_each_situation_and_each_other_it_acts_for() -> None:
    gathering = gatherer(Upstream(*PEOPLE))
    there = Situation("1/10", frozenset({Identifier("urn:finess", "1")}))
    away = Situation("2/10", frozenset({Identifier("urn:finess", "2")}))
    alone = await gathering.closure(principal())
    assert await gathering.closure(principal()) is alone
    assert await gathering.closure(principal(situation=there)) == replace(alone, roles=frozenset())
    assert (await gathering.closure(principal(situation=away))).references == {"Practitioner/a"}
    acting = await gathering.closure(principal(fhir_user=None, delegator=principal()))
    assert acting.behind == alone
    stranger = principal(fhir_user="Practitioner/b")
    other = await gathering.closure(principal(fhir_user=None, delegator=stranger))
    assert other.behind is not None
    assert other.behind.references == {"Practitioner/b"}
