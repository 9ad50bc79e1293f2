"""The laws of the house (1) to (7): deny by default, order, monotonicity, canary, idempotence, one answer, equal leaves.

(7) stands in test_untouched, and non-interference in tests/worlds.
"""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from zoneinfo import ZoneInfo

import orjson
import pytest
import pytest_asyncio
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from proxy.decision.case import compile_policies, open_case
from proxy.decision.decide import decide_resource
from proxy.decision.model import Decision
from proxy.facts.model import (
    ALWAYS,
    Actor,
    ActorClosure,
    ConsentDirective,
    Facts,
    Membership,
    PatientFacts,
)  # fmt: skip
from proxy.fhir.coding import CONFIDENTIALITY, Coding, Effect
from proxy.fhir.definitions import definitions_of
from proxy.fhir.envelope import Envelope
from proxy.fhir.reader import EnvelopeReader
from proxy.identity.principal import Principal, PrincipalKind
from proxy.identity.scopes import parse_scopes
from proxy.policy.load import load
from proxy.policy.model import PolicySet, Rule
from tests.facts.consents import actor, deny, label, permit, purpose, r4, read4
from tests.stage import (
    NOW,
    ROOT,
    Json,
    Stage,
    Upstream,
    authorization,
    serving,
    staged,
    world_of,
)  # fmt: skip
from tests.strategies import METHODS, observations, targets

BASELINE = load(ROOT / "policies" / "baseline")
PARIS = ZoneInfo("Europe/Paris")
READER = EnvelopeReader(
    definitions_of("4.0.1").resource_types, (), compile_policies(BASELINE).wanted
)
DOCTOR = Coding("http://terminology.hl7.org/CodeSystem/practitioner-role", "doctor")
NURSE = Coding("http://terminology.hl7.org/CodeSystem/practitioner-role", "nurse")
PAYER = Coding("http://terminology.hl7.org/CodeSystem/v3-RoleClass", "PAYOR")


def _principal(user: str, role: Coding | None, purpose: str) -> Principal:
    kinds = {"Patient": PrincipalKind.PATIENT, "RelatedPerson": PrincipalKind.RELATED_PERSON}
    return Principal(
        issuer="i",
        subject=user,
        client_id="c",
        token_id="t",
        kind=kinds.get(user.partition("/")[0], PrincipalKind.PRACTITIONER),
        scopes=parse_scopes("user/*.rs"),
        expires_at=NOW + 60,
        fhir_user=user,
        roles=frozenset([role] if role else []),
        purposes=frozenset([purpose]),
    )


principals = st.builds(
    _principal,
    st.sampled_from(["Practitioner/dr-martin", "Practitioner/dr-vernay", "Patient/camille", "RelatedPerson/m"]),
    st.sampled_from([DOCTOR, NURSE, PAYER, None]),
    st.sampled_from(["TREAT", "PATRQT", "FAMRQT", "HRESCH"]),
)  # fmt: skip


def _consent(provision: Json) -> ConsentDirective:
    return read4(r4(provision))


permits = st.builds(
    lambda who, code: permit(*([actor(*who)] if who else []), *([purpose(code)] if code else [])),
    st.lists(st.sampled_from(["Practitioner/dr-martin", "Practitioner/dr-vernay"]), max_size=2),
    st.sampled_from(["TREAT", "HRESCH", ""]),
)
denies = st.builds(
    lambda who, codes: deny(*([actor(who)] if who else []), *([label(*codes)] if codes else [])),
    st.sampled_from(["Practitioner/dr-martin", "Practitioner/dr-vernay", ""]),
    st.sampled_from([(), ("R",), ("HIV",)]),
)
consents = st.lists(st.one_of(permits, denies).map(_consent), max_size=4)

memberships = st.lists(
    st.builds(
        lambda kind, who: Membership(kind, Actor(reference=who), ALWAYS, "CareTeam/x"),
        st.sampled_from(["care-team", "general-practitioner", "guardian"]),
        st.sampled_from(["Practitioner/dr-martin", "Practitioner/dr-vernay", "RelatedPerson/m"]),
    ),
    max_size=3,
)


@dataclass(frozen=True, slots=True)
class Situation:
    """Who asks for what, and what is known about the patients."""

    principal: Principal
    envelope: Envelope
    directives: tuple[ConsentDirective, ...]
    memberships: tuple[Membership, ...]

    def decided(self, policies: PolicySet) -> Decision:
        known = {
            patient: PatientFacts(
                patient,
                tuple(replace(one, patient=patient) for one in self.directives),
                self.memberships,
            )
            for patient in self.envelope.patients or ()
        }
        return self._decide(policies, known)

    def unknown(self, policies: PolicySet) -> Decision:
        known = {one: PatientFacts(one, None, None) for one in self.envelope.patients or ()}
        return self._decide(policies, known)

    def _decide(self, policies: PolicySet, known: dict[str, PatientFacts]) -> Decision:
        closure = ActorClosure(frozenset({self.principal.fhir_user or ""}))
        case = open_case(compile_policies(policies), self.principal, closure, "read", PARIS)
        return decide_resource(case, self.envelope, Facts(closure, NOW, known))


def _envelope(resource: Json) -> Envelope:
    return READER.read(orjson.dumps({**resource, "id": "x"}))


situations = st.builds(
    Situation,
    principals,
    observations().map(_envelope),
    consents.map(tuple),
    memberships.map(tuple),
)


def with_rules(rules: list[Rule]) -> PolicySet:
    return replace(BASELINE, rules=tuple(rules))


rule_lists = st.lists(st.sampled_from(BASELINE.rules), max_size=12, unique_by=lambda rule: rule.id)


@given(situation=situations)
def test_without_a_rule_nothing_is_permitted(situation: Situation) -> None:
    assert not situation.decided(with_rules([])).permits


@given(situation=situations)
def test_without_a_consent_no_professional_is_permitted(situation: Situation) -> None:
    alone = replace(situation, directives=())
    if alone.principal.kind is PrincipalKind.PRACTITIONER:
        assert not alone.decided(BASELINE).permits


@given(situation=situations, rules=rule_lists)
def test_what_could_not_be_looked_up_is_not_permitted(
    situation: Situation, rules: list[Rule]
) -> None:
    assert not situation.unknown(with_rules(rules)).permits


@given(situation=situations, rules=rule_lists, data=st.data())
def test_order_decides_nothing(
    situation: Situation, rules: list[Rule], data: st.DataObject
) -> None:
    other = replace(
        situation,
        directives=tuple(data.draw(st.permutations(situation.directives))),
        memberships=tuple(data.draw(st.permutations(situation.memberships))),
    )
    one = situation.decided(with_rules(rules))
    two = other.decided(with_rules(data.draw(st.permutations(rules))))
    assert (one.effect, one.obligations, one.consents) == (
        two.effect,
        two.obligations,
        two.consents,
    )
    assert sorted(map(repr, one.reasons)) == sorted(map(repr, two.reasons))


DENIES = [rule for rule in BASELINE.rules if Effect(rule.effect) is Effect.DENY]
PERMITS = [rule for rule in BASELINE.rules if Effect(rule.effect) is Effect.PERMIT]


@given(situation=situations, rules=rule_lists, more=st.sampled_from(DENIES))
def test_another_deny_discloses_no_more(
    situation: Situation, rules: list[Rule], more: Rule
) -> None:
    before = situation.decided(with_rules(rules))
    after = situation.decided(with_rules([*rules, *([more] if more not in rules else [])]))
    assert before.permits or not after.permits


@given(situation=situations, rules=rule_lists, fewer=st.sampled_from(PERMITS))
def test_one_permit_fewer_discloses_no_more(
    situation: Situation, rules: list[Rule], fewer: Rule
) -> None:
    before = situation.decided(with_rules(rules))
    after = situation.decided(with_rules([rule for rule in rules if rule is not fewer]))
    assert before.permits or not after.permits


@given(situation=situations, more=denies.map(_consent))
def test_another_consent_that_denies_discloses_no_more(
    situation: Situation, more: ConsentDirective
) -> None:
    before = situation.decided(BASELINE)
    after = replace(situation, directives=(*situation.directives, more)).decided(BASELINE)
    assert before.permits or not after.permits


@given(situation=situations, code=st.sampled_from(["R", "V"]))
def test_a_higher_label_discloses_no_more(situation: Situation, code: str) -> None:
    own = Coding(CONFIDENTIALITY, code)
    higher = situation.envelope.labelled(situation.envelope.labels | {own})
    before, after = situation, replace(situation, envelope=higher)
    assert before.decided(BASELINE).permits or not after.decided(BASELINE).permits


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[tuple[Stage, Upstream]]:
    upstream = Upstream(world_of())
    async with (
        serving(upstream.respond) as url,
        staged(tmp_path_factory.mktemp("gateway"), url, facts_ttl_s=3600) as stage,
    ):
        yield stage, upstream


ANSWER = re.compile(rb"HTTP/1\.[01] ([0-9]{3}) ")
SEARCHES = [
    "Observation?_count=100",
    "Patient",
    "Patient?_revinclude=Observation:patient&_count=100",
    "DocumentReference?_include=DocumentReference:subject",
]


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("target", SEARCHES)
@pytest.mark.parametrize("who", ["care-team-physician", "care-team-nurse", "patient"])
async def test_filtering_twice_is_filtering_once(
    scene: tuple[Stage, Upstream], target: str, who: str
) -> None:
    stage, upstream = scene
    once = await stage.ask(target, who)

    async def again(request: web.BaseRequest) -> web.StreamResponse | None:
        if "_count=500" in request.raw_path:  # a look-up of facts
            return None
        return web.Response(body=once.body, content_type="application/fhir+json")

    upstream.override = again
    twice = await stage.ask(target, who)
    upstream.override = None
    assert twice.body == once.body
    assert once.ids


@pytest.mark.asyncio(loop_scope="module")
@given(
    method=METHODS,
    target=targets(),
    who=st.sampled_from([None, "care-team-physician", "patient", "insurer"]),
    headers=st.dictionaries(
        st.sampled_from(["Accept", "Prefer", "Content-Type", "Range", "X-Any", "Content-Encoding"]),
        st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20),
        max_size=3,
    ),
    body=st.binary(max_size=30),
)  # fmt: skip
async def test_any_request_has_one_answer_and_one_entry(
    scene: tuple[Stage, Upstream],
    method: str,
    target: str,
    who: str | None,
    headers: dict[str, str],
    body: bytes,
) -> None:
    stage, _ = scene
    said = {
        **authorization(who),
        **headers,
        "Content-Length": str(len(body)),
        "Connection": "close",
    }
    lines = [f"{method} /fhir{target} HTTP/1.1", "Host: x", *(f"{k}: {v}" for k, v in said.items())]
    stage.entries()
    answer = await stage.raw("\r\n".join(lines).encode() + b"\r\n\r\n" + body, 5)
    status = int(answer.split(b" ", 2)[1])
    assert [entry.status for entry in stage.entries()] == [status]
    assert len(ANSWER.findall(answer)) == 1
    assert status in {200, 400, 401, 403, 404, 405, 406, 413, 415, 501}
    assert b"Traceback" not in answer


@pytest.mark.asyncio(loop_scope="module")
@given(noise=st.binary(min_size=1, max_size=200).map(lambda noise: noise + b"\r\n\r\n\r\n"))
async def test_any_bytes_have_at_most_constant_words(
    scene: tuple[Stage, Upstream], noise: bytes
) -> None:
    stage, _ = scene
    stage.entries()
    try:
        answer = await stage.raw(noise, 0.2)
    except TimeoutError:  # not yet a request: the gateway waits for more
        return
    answers = ANSWER.findall(answer)
    assert len(stage.entries()) == len(answers)
    assert {int(status) for status in answers} <= {400, 401, 404, 405, 413}
