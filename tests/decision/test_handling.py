from dataclasses import replace

import pytest

from proxy.decision.case import Case, compile_policies, open_case
from proxy.decision.decide import decide_resource
from proxy.decision.handling import handle, redactable, untold
from proxy.decision.model import Obligations, Redaction, Verdict
from proxy.facts.model import ActorClosure
from proxy.fhir.coding import ACT_CODE, CONFIDENTIALITY, Coding
from proxy.policy.handling import Agreement, Fulfilment
from proxy.policy.redact import Redact
from tests.decision.test_changes import AGREED, DOC, TEAM, facts_of
from tests.situations import BASELINE, PARIS, READER

PAYER_TYPE = Coding("http://terminology.hl7.org/CodeSystem/organization-type", "pay")
AGREES = frozenset({"permit"})
SILENT = frozenset({"none"})
TOLD = Fulfilment(warn="Beware.")
WITHOUT = Fulfilment(redact=Redact(remove=("Patient.telecom",)))
BY_CLIENT = Fulfilment(agreement=Agreement(client=("ward",)))
BY_TYPE = Fulfilment(agreement=Agreement(organization_type=("payer",)))
BY_CONSENT = Fulfilment(consent="permit")


def label(code: str) -> Coding:
    return Coding(ACT_CODE, code)


def case_of(
    by: dict[str, tuple[Fulfilment, ...]], client: str = "c", types: frozenset[Coding] = frozenset()
) -> Case:
    handling = {label(code): alternatives for code, alternatives in by.items()}
    policies = replace(BASELINE, labels=replace(BASELINE.labels, handling=handling))
    closure = ActorClosure(
        references=frozenset({"Practitioner/dr-martin"}), organization_types=types
    )
    who = replace(DOC, client_id=client)
    return open_case(compile_policies(policies), who, closure, "read", PARIS)


FITS = [
    ((TOLD,), {}, SILENT, True),
    ((BY_CLIENT,), {"client": "ward"}, SILENT, True),
    ((BY_CLIENT,), {"client": "other"}, SILENT, False),
    ((BY_TYPE,), {"types": frozenset({PAYER_TYPE})}, SILENT, True),
    ((BY_TYPE,), {}, SILENT, False),
    ((BY_CONSENT,), {}, AGREES, True),
    ((BY_CONSENT,), {}, SILENT, False),
    ((BY_CONSENT,), {}, frozenset(), False),
    ((BY_CLIENT, BY_TYPE), {"types": frozenset({PAYER_TYPE})}, SILENT, True),
    ((), {}, AGREES, False),
]


@pytest.mark.parametrize(("by", "who", "consent", "fits"), FITS)
def test_an_instruction_is_met_by_what_fits_the_caller_and_the_consent(
    by: tuple[Fulfilment, ...], who: dict[str, object], consent: frozenset[str], fits: bool
) -> None:
    case = case_of({"DELAU": by}, **who)  # type: ignore[arg-type]  # by name
    unmet = handle(frozenset({label("DELAU")}), case, consent).unmet
    assert [(one.verdict, one.source) for one in unmet] == (
        [] if fits else [(Verdict.UNKNOWN, f"{ACT_CODE}#DELAU")]
    )


def test_what_nobody_states_is_met_by_nobody_and_other_labels_need_nothing() -> None:
    case = case_of({"DELAU": (TOLD,)})
    labels = frozenset({label("ETH"), Coding(CONFIDENTIALITY, "R"), label("NOAUTH")})
    assert [one.source for one in handle(labels, case, AGREES).unmet] == [f"{ACT_CODE}#NOAUTH"]


def test_the_first_that_fits_says_what_must_be_done() -> None:
    case = case_of({"REDACT": (BY_CLIENT, WITHOUT), "NORDSCLCD": (TOLD,)}, client="elsewhere")
    told = handle(frozenset({label("REDACT"), label("NORDSLCD")}), case, SILENT).obligations
    assert told.redactions == {Redaction("remove", "Patient.telecom")}
    assert told.warn == {"Beware."}
    assert told.binds == {label("NORDSCLCD")}


def test_what_may_be_taken_out_for_the_caller_is_known_before_any_resource() -> None:
    agreed = Fulfilment(
        agreement=Agreement(client=("ward",)), redact=Redact(remove=("Patient.name",))
    )
    case = case_of({"REDACT": (agreed, WITHOUT)})
    assert redactable(case) == {Redaction("remove", "Patient.telecom")}
    case = case_of({"REDACT": (agreed, WITHOUT)}, client="ward")
    assert {one.path for one in redactable(case)} == {"Patient.telecom", "Patient.name"}


@pytest.mark.parametrize(
    ("codes", "permits"),
    [((), True), (("DELAU",), True), (("NOAUTH",), False), (("DELAU", "NOAUTH"), False)],
)
def test_a_resource_leaves_only_if_every_instruction_is_met(
    codes: tuple[str, ...], permits: bool
) -> None:
    case = case_of({"DELAU": (TOLD,)})
    envelope = READER.read(b'{"resourceType":"Patient","id":"camille"}')
    labelled = envelope.labelled(frozenset(map(label, codes)))
    decision = decide_resource(case, labelled, facts_of((AGREED,), (TEAM,)))
    assert decision.permits is permits
    assert decision.obligations.warn == ({"Beware."} if codes and permits else set())
    assert bool(decision.obligations.binds) is bool(codes and permits)


def test_an_instruction_on_what_is_about_nobody_is_met_likewise() -> None:
    envelope = READER.read(b'{"resourceType":"Organization","id":"o"}')
    labelled = envelope.labelled(frozenset({label("DELAU")}))
    facts = facts_of((), ())
    assert decide_resource(case_of({}), envelope, facts).permits
    assert not decide_resource(case_of({}), labelled, facts).permits
    assert decide_resource(case_of({"DELAU": (TOLD,)}), labelled, facts).obligations.warn == {"Beware."}  # fmt: skip


SECRET = Coding("urn:x", "SECRET")
NOTICES = Obligations(notify=frozenset({("patient", "r"), ("privacy-officer", "r")}))


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        (frozenset({SECRET, label("ETH")}), {"privacy-officer"}),
        (frozenset({label("ETH")}), {"patient", "privacy-officer"}),
        (frozenset(), {"patient", "privacy-officer"}),
    ],
)
def test_the_patients_record_does_not_tell_of_what_is_kept_from_its_readers(
    labels: frozenset[Coding], told: set[str]
) -> None:
    plain = case_of({})
    policies = plain.compiled.policies
    quiet = replace(policies, labels=replace(policies.labels, untold=frozenset({SECRET})))
    case = replace(plain, compiled=replace(plain.compiled, policies=quiet))
    assert {one for one, _ in untold(NOTICES, labels, case).notify} == told


def test_a_minors_secret_makes_no_notice_in_the_baseline() -> None:
    rules = tuple(
        rule.model_copy(update={"notify": ("patient", "privacy-officer")})
        if rule.id == "care-team-reads"
        else rule
        for rule in BASELINE.rules
    )
    closure = ActorClosure(references=frozenset({"Practitioner/dr-martin"}))
    compiled = compile_policies(replace(BASELINE, rules=rules))
    case = open_case(compiled, DOC, closure, "read", PARIS)
    envelope = READER.read(b'{"resourceType":"Patient","id":"camille"}')
    [secret] = BASELINE.labels.untold
    facts = facts_of((AGREED,), (TEAM,))
    told = {
        labels: {
            one
            for one, _ in decide_resource(case, envelope.labelled(labels), facts).obligations.notify
        }
        for labels in (frozenset[Coding](), frozenset({secret}))
    }
    assert list(told.values()) == [{"patient", "privacy-officer"}, {"privacy-officer"}]
