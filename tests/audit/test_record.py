import pytest

from proxy.audit.entry import GrantAct, Notice
from proxy.audit.record import LONGEST_TARGET, MOST_FINDINGS, Record, actor_of, note_of
from proxy.decision.model import Decision, Obligations, Reason, Verdict
from proxy.errors import CallerError, Refusal
from proxy.facts.finding import FindingKind
from proxy.facts.grant import Grant, Holder
from proxy.fhir.coding import Coding, Effect, Identifier
from proxy.fhir.interaction import FhirRequest, Interaction, RawRequest
from proxy.identity.principal import Principal, PrincipalKind
from proxy.identity.scopes import parse_scopes

RAW = RawRequest("GET", "/fhir/Patient/a", {"accept": "x" * 500, "authorization": "Bearer secret"}, b"", "r1", "10.0.0.1")  # fmt: skip
PERMIT = Decision(Effect.PERMIT, (Reason("policy", Verdict.PERMIT, "rule", "why"),), consents=frozenset({"Consent/2", "Consent/1"}))  # fmt: skip
DENY = Decision(Effect.DENY)


def record(raw: RawRequest = RAW) -> Record:
    return Record("id", 1.0, raw)


OUTCOMES = [(200, "permitted"), (304, "permitted"), (400, "denied"), (401, "denied"), (403, "denied"), (404, "denied"), (406, "denied"), (413, "denied"), (501, "denied"), (500, "failed"), (503, "failed")]  # fmt: skip


@pytest.mark.parametrize(("status", "outcome"), OUTCOMES)
def test_the_outcome_follows_from_the_status(status: int, outcome: str) -> None:
    entry = record().entry(status)
    assert (entry.status, entry.outcome) == (status, outcome)


def test_what_was_not_reached_is_empty_and_the_token_is_never_kept() -> None:
    entry = record().entry(503)
    assert (entry.interaction, entry.type, entry.refusal, entry.decisions, entry.touched) == (
        "",
        "",
        "",
        (),
        (),
    )
    assert entry.actor == actor_of(None)
    assert "secret" not in repr(entry)


def test_a_request_and_its_refusal_are_kept() -> None:
    kept = record()
    kept.request = FhirRequest(Interaction.VREAD, "Patient", "a", "3")
    kept.error = CallerError(Refusal.NOT_FOUND, "withheld")
    entry = kept.entry(404)
    assert (entry.interaction, entry.type, entry.resource_id, entry.version) == (
        "vread",
        "Patient",
        "a",
        "3",
    )
    assert (entry.refusal, entry.detail) == ("not-found", "withheld")


def test_resources_that_fared_alike_stand_together_with_one_decision() -> None:
    kept = record()
    kept.touch("Patient/a", "disclosed", PERMIT, ("Patient/a",), ())
    kept.touch("Observation/1", "disclosed", PERMIT, ("Patient/a",), ())
    kept.touch("Observation/2", "withheld", DENY, ("Patient/a",), ())
    kept.touch("Observation/3", "redacted", PERMIT, ("Patient/a",), ("Observation.note",))
    kept.touch("", "withheld", None, (), ())
    entry = kept.entry(200)
    assert [(one.references, one.outcome, one.redacted, one.decision) for one in entry.touched] == [
        (("Patient/a", "Observation/1"), "disclosed", (), 0),
        (("Observation/2",), "withheld", (), 1),
        (("Observation/3",), "redacted", ("Observation.note",), 0),
        (("",), "withheld", (), -1),
    ]
    assert [one.effect for one in entry.decisions] == ["permit", "deny"]
    assert entry.decisions[0].reasons == (("policy", "permit", "rule", "why"),)
    assert entry.decisions[0].consents == ("Consent/1", "Consent/2")


def test_one_decision_about_two_patients_is_kept_for_each() -> None:
    kept = record()
    assert [kept.decide(PERMIT, (one,)) for one in ("Patient/a", "Patient/b", "Patient/a")] == [
        0,
        1,
        0,
    ]


def test_what_a_client_sends_is_kept_in_bounded_length() -> None:
    raw = RawRequest(
        "X" * 99,
        "/" + "a" * 99_999 + "/_search",
        {"accept": "b" * 999},
        b"\xff" + b"c" * 99_999,
        "r",
    )
    entry = record(raw).entry(400)
    assert len(entry.target) == LONGEST_TARGET
    assert len(entry.form) < LONGEST_TARGET + 8
    assert (len(entry.method), len(entry.accept)) == (16, 256)
    assert entry.form.startswith("\\xff")


def test_a_caller_is_kept_by_what_tells_who_it_was() -> None:
    principal = Principal(
        issuer="i", subject="s", client_id="c", token_id="t", kind=PrincipalKind.PRACTITIONER, scopes=parse_scopes("user/*.rs"),
        expires_at=2.0, fhir_user="Practitioner/x", name="Dr X", roles=frozenset({Coding("b", "2"), Coding("a", "1")}),
        purposes=frozenset({"TREAT", "ETREAT"}), organization=Identifier("urn:o", "9"), organization_name="O",
    )  # fmt: skip
    actor = actor_of(principal)
    assert (actor.issuer, actor.subject, actor.client_id, actor.token_id) == ("i", "s", "c", "t")
    assert (actor.kind, actor.fhir_user, actor.name) == ("practitioner", "Practitioner/x", "Dr X")
    assert actor.roles == (("a", "1"), ("b", "2"))
    assert (actor.purposes, actor.organization) == (("ETREAT", "TREAT"), ("urn:o", "9"))


TELLING = Decision(
    Effect.PERMIT,
    obligations=Obligations(notify=frozenset({("patient", "r"), ("privacy-officer", "r")})),
)


def test_whoever_must_be_told_is_told_once_a_patient_of_what_really_left() -> None:
    kept = record()
    for reference, outcome, patient in (
        ("Patient/a", "disclosed", "Patient/a"),
        ("Observation/1", "redacted", "Patient/a"),
        ("Observation/2", "withheld", "Patient/b"),
        ("Observation/3", "explained", "Patient/c"),
    ):
        kept.touch(reference, outcome, TELLING, (patient,), ())
    kept.touch("Observation/4", "disclosed", PERMIT, ("Patient/d",), ())
    assert kept.entry(200).notices == (
        Notice("patient", "Patient/a", "r"),
        Notice("privacy-officer", "Patient/a", "r"),
    )


def test_whose_resources_were_consulted_is_told_and_a_grant_behind_them_was_used() -> None:
    kept = record()
    kept.touch("Observation/1", "consulted", TELLING, ("Patient/a",), ())
    kept.touch("Observation/2", "consulted", UNDER, ("Patient/b",), ())
    kept.touch("Observation/3", "consulted", WARNING, ("Patient/c",), ())
    kept.touch("Observation/4", "withheld", UNDER, ("Patient/d",), ())
    told = {(one.recipient, one.patient) for one in kept.entry(200).notices}
    assert {("patient", "Patient/a"), ("patient", GRANT.patient)} <= told
    assert kept.used == (GRANT,)
    assert kept.entry(200).warnings == ()  # they did not leave


def test_an_answer_that_was_not_given_tells_nobody() -> None:
    kept = record()
    kept.touch("Patient/a", "disclosed", TELLING, ("Patient/a",), ())
    assert [kept.entry(status).notices for status in (503, 404)] == [(), ()]


def test_what_is_about_nobody_is_told_to_no_patient() -> None:
    kept = record()
    kept.touch("Organization/a", "disclosed", TELLING, (), ())
    assert kept.entry(200).notices == (Notice("privacy-officer", "", "r"),)


def test_a_notice_of_the_request_itself_stands_whatever_becomes_of_it_and_comes_first() -> None:
    kept = record()
    kept.touch("Patient/a", "disclosed", TELLING, ("Patient/a",), ())
    kept.notify("patient", "Patient/a", "break-glass-start")
    kept.notify("patient", "Patient/a", "later")
    assert kept.entry(503).notices == (Notice("patient", "Patient/a", "break-glass-start"),)
    assert kept.entry(200).notices[0].why == "break-glass-start"


WARNING = Decision(Effect.PERMIT, obligations=Obligations(warn=frozenset({"b", "a"})))


def test_what_the_reader_was_told_is_kept_where_data_left() -> None:
    kept = record()
    kept.touch("Patient/b", "withheld", WARNING, ("Patient/b",), ())
    assert kept.entry(200).warnings == ()
    kept.touch("Patient/a", "disclosed", WARNING, ("Patient/a",), ())
    assert (kept.entry(200).warnings, kept.entry(503).warnings) == (("a", "b"), ())


def test_findings_are_kept_once_and_are_bounded() -> None:
    kept = record()
    for _ in range(2):
        kept.find(FindingKind.DEAD_REFERENCE, "Consent/c")
    kept.find(FindingKind.UNREADABLE_CONSENT, "x" * (LONGEST_TARGET + 1))
    [dead, unreadable] = kept.entry(404).findings
    assert dead == ("dead-reference", "Consent/c")
    assert unreadable == ("unreadable-consent", "x" * LONGEST_TARGET)
    for number in range(2 * MOST_FINDINGS):
        kept.find(FindingKind.UNKNOWN_LABEL, f"urn:x#{number}")
    assert len(kept.entry(404).findings) == MOST_FINDINGS


GRANT = Grant("g", Holder("i", "s", "c"), "Patient/a", 1.0, 2.0, "sys#code")
UNDER = Decision(Effect.PERMIT, grants=(GRANT,))


def test_a_grant_is_used_where_something_left_because_of_it() -> None:
    kept = record()
    kept.touch("Patient/a", "withheld", UNDER, ("Patient/a",), ())
    assert kept.entry(200).grants == ()
    kept.touch("Patient/a", "disclosed", UNDER, ("Patient/a",), ())
    kept.touch("Observation/b", "redacted", UNDER, ("Patient/a",), ())
    [note] = kept.entry(200).grants
    assert note == note_of(GRANT, GrantAct.USED)
    assert {one.why for one in kept.entry(200).notices} == {"break-glass-use"}
    assert [one.recipient for one in kept.entry(200).notices] == ["patient", "privacy-officer"]
    assert kept.entry(200).decisions[0].grants == ("g",)


def test_of_a_request_that_was_not_answered_nothing_became_of_any_grant() -> None:
    kept = record()
    kept.grants.append(note_of(GRANT, GrantAct.STARTED))
    kept.use([GRANT])
    assert [kept.entry(status).grants for status in (403, 503)] == [(), ()]
    assert [one.act for one in kept.entry(200).grants] == [GrantAct.STARTED, GrantAct.USED]
