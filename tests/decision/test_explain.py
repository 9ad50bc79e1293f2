from dataclasses import replace

import orjson
import pytest

from proxy.decision.changes import Change
from proxy.decision.decide import decide_resource
from proxy.decision.explain import (
    Because,
    changes_that_permit,
    explain_request,
    explain_resource,
)
from proxy.decision.labels import LabelOrigin
from proxy.decision.model import Decision, Obligations
from proxy.fhir.coding import CONFIDENTIALITY, Effect
from proxy.identity.principal import Principal
from proxy.identity.scopes import parse_scopes
from tests.decision.test_changes import AGREED, CAMILLE, DOC, NUR, TEAM, case_of, facts_of
from tests.situations import READER
from tests.stage import ROOT, Json

FILE = ROOT / "policies" / "baseline" / "treatment.yaml"
PATIENT: Json = {"resourceType": "Patient", "id": "camille"}


def told(principal: Principal, resource: Json, *, agreed: bool = True) -> tuple[str, list[Because]]:
    raw = orjson.dumps(resource)
    case, envelope = case_of(principal), READER.read(raw)
    facts = facts_of((AGREED,) if agreed else (), (TEAM,))
    decision = decide_resource(case, envelope, facts)
    explanation = explain_resource(case, raw, envelope, decision, ())
    return explanation.effect, list(explanation.reasons)


def test_a_rule_is_told_with_its_line_and_its_basis() -> None:
    effect, reasons = told(DOC, PATIENT)
    assert effect == "permit"
    [rule, consent] = reasons
    line = int(rule.place.rpartition(":")[2])
    assert rule.place == f"{FILE}:{line}"
    assert FILE.read_text().splitlines()[line - 1].strip() == "- id: care-team-reads"
    assert rule.source == "care-team-reads"
    assert rule.basis.startswith("CSP R1111-46 first paragraph")
    assert (consent.voice, consent.source, consent.place) == ("consent", "Consent/c1#provision", "")


def test_a_deny_that_was_lifted_is_told_in_the_permit() -> None:
    restricted = {**PATIENT, "meta": {"security": [{"system": CONFIDENTIALITY, "code": "R"}]}}
    effect, reasons = told(DOC, restricted)
    assert effect == "permit"
    assert ("restricted-needs-clearance", "deny") in [(one.source, one.verdict) for one in reasons]


def test_only_what_a_resource_of_its_type_is_under_is_demanded() -> None:
    case, facts = case_of(NUR), facts_of((AGREED,), (TEAM,))
    demands = {}
    for resource in (
        PATIENT,
        {"resourceType": "Observation", "id": "o", "subject": {"reference": CAMILLE}},
    ):
        raw = orjson.dumps(resource)
        envelope = READER.read(raw)
        decision = decide_resource(case, envelope, facts)
        demands[envelope.type] = explain_resource(case, raw, envelope, decision, ()).demands
    assert demands["Patient"] == ("remove Patient.address", "remove Patient.telecom")
    assert demands["Observation"] == ()


def test_labels_are_told_with_their_origin() -> None:
    case, raw = case_of(DOC), orjson.dumps(PATIENT)
    envelope = READER.read(raw)
    decision = decide_resource(case, envelope, facts_of((), ()))
    labels = explain_resource(case, raw, envelope, decision, ()).labels
    assert labels == (LabelOrigin(f"{CONFIDENTIALITY}#N", "unlabelled: N"),)


def test_a_letter_that_does_not_open_is_explained_by_what_is_known_of_it() -> None:
    case, envelope = case_of(DOC), READER.read(orjson.dumps(PATIENT))
    decision = decide_resource(case, envelope, facts_of((), ()))
    assert explain_resource(case, b"{", envelope, decision, ()).effect == "deny"


@pytest.mark.parametrize("agreed", [True, False])
def test_only_a_refusal_has_changes(agreed: bool) -> None:
    case, envelope = case_of(DOC), READER.read(orjson.dumps(PATIENT))
    facts = facts_of((AGREED,) if agreed else (), (TEAM,))
    decision = decide_resource(case, envelope, facts)
    changes = changes_that_permit(case, envelope, decision, facts, "Patient")
    assert changes == (
        () if agreed else (Change("consent", f"a Consent of {CAMILLE} that permits this"),)
    )


def test_a_request_is_explained_before_any_resource_is() -> None:
    assert explain_request(case_of(DOC), "Patient").effect == "permit"
    refused = explain_request(
        case_of(replace(DOC, scopes=parse_scopes("user/Observation.r"))), "Patient"
    )
    assert refused.effect == "deny"
    assert [(one.voice, one.source) for one in refused.reasons] == [("scope", "Patient")]
    assert refused.changes == (Change("scope", "the scope user/Patient.r in the token"),)


def test_what_is_told_beside_the_data_is_explained() -> None:
    case, raw = case_of(DOC), orjson.dumps(PATIENT)
    envelope = READER.read(raw)
    obligations = Obligations(notify=frozenset({("patient", "r")}), warn=frozenset({"b", "a"}))
    told = explain_resource(
        case, raw, envelope, Decision(Effect.PERMIT, obligations=obligations), ()
    )
    assert (told.warns, told.notifies) == (("a", "b"), ("patient by r",))
