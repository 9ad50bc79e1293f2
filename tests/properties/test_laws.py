"""The laws of the house (1) to (7): deny by default, order, monotonicity, canary, idempotence, one answer, equal leaves.

(7) stands in test_untouched, and non-interference in tests/worlds.
"""

import re
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from proxy.facts.model import ConsentDirective
from proxy.fhir.coding import CONFIDENTIALITY, Coding, Effect
from proxy.identity.principal import PrincipalKind
from proxy.policy.model import Rule
from tests.situations import (
    BASELINE,
    Situation,
    consent_of,
    denies,
    rule_lists,
    situations,
    with_rules,
)  # fmt: skip
from tests.stage import Stage, Upstream, authorization, serving, staged, world_of
from tests.strategies import METHODS, targets


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


@given(situation=situations, more=denies.map(consent_of))
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
