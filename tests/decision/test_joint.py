"""What leaves together is one permit: every part is heard, and what any part obliges to holds."""

from proxy.decision.joint import permitted_together
from proxy.decision.model import Decision, Evidence, Obligations, Reason, Redaction, Verdict
from proxy.fhir.coding import Effect


def permit(name: str, confidentiality: str) -> Decision:
    return Decision(
        Effect.PERMIT,
        (Reason("policy", Verdict.PERMIT, "shared"), Reason("policy", Verdict.PERMIT, name)),
        Obligations(
            frozenset({Redaction("remove", f"{name}.text")}), frozenset({("patient", name)})
        ),
        consents=frozenset({f"Consent/{name}"}),
        whose=frozenset({("Patient/p", f"Consent/{name}")}),
        confidentiality=confidentiality,
        evidence=(Evidence("Patient/p", name, frozenset(), frozenset(), frozenset(), "permit"),),
    )


def test_a_permit_alone_is_itself() -> None:
    assert permitted_together([permit("A", "N")]) == permit("A", "N")


def test_every_part_is_heard_and_every_obligation_holds() -> None:
    one, other = permit("A", "N"), permit("B", "R")
    joined = permitted_together([one, other, one])
    assert joined.permits
    assert joined.obligations == one.obligations | other.obligations
    assert [reason.source for reason in joined.reasons] == ["shared", "A", "B"]
    assert joined.consents == {"Consent/A", "Consent/B"}
    assert joined.whose == one.whose | other.whose
    assert joined.evidence == (*one.evidence, *other.evidence)


def test_the_mark_is_the_highest_whatever_the_order() -> None:
    for order in ([permit("A", "R"), permit("B", "N"), permit("C", "")],):
        assert permitted_together(order).confidentiality == "R"
        assert permitted_together(order[::-1]).confidentiality == "R"
