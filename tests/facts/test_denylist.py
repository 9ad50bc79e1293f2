from dataclasses import replace

import pytest
from hypothesis import given

from proxy.facts.denylist import excluded
from proxy.facts.model import ConsentDirective
from proxy.fhir.coding import CONSENT_SCOPE
from tests.decision.test_provisions import CONSENTS, DR_A, NOW
from tests.facts.consents import Json, actor, concept, deny, label, permit, purpose, r4, read4

OVER = {"period": {"end": "2023"}}


@pytest.mark.parametrize(
    ("tree", "listed"),
    [
        (r4(deny(actor("Practitioner/a"))), True),
        (r4(permit(but=(deny(actor("Organization/h")),))), True),
        (r4(permit(purpose("HMARKT"), but=(deny(actor("Practitioner/a")),))), True),
        (r4(deny(actor("Practitioner/b"))), False),
        (r4(deny(actor("Practitioner/a"), label("R"))), False),
        (r4(deny(actor("Practitioner/a"), purpose("HMARKT"))), False),
        (r4(deny(actor("Organization/h"), but=(permit(actor("Practitioner/a")),))), False),
        (r4(deny(actor("Organization/h"), but=(permit(actor("Practitioner/a"), OVER),))), True),
        (r4(deny(actor("Organization/h"), but=(permit(actor("Practitioner/b")),))), True),
        (r4(deny(actor("Practitioner/a"), OVER)), False),
        (r4(permit(OVER, but=(deny(actor("Practitioner/a")),))), False),
        (r4(deny(actor("Practitioner/a")), scope=concept(CONSENT_SCOPE, "research")), False),
        (r4(deny(actor("Practitioner/a")), status="inactive"), False),
        (r4(deny()), False),
        (r4(deny(actor("Group/unknown"))), None),
        (r4({"type": "novel"}), None),
    ],
)
def test_the_deny_list_is_who_is_denied_without_condition(tree: Json, listed: bool | None) -> None:
    assert excluded([read4(tree)], DR_A, NOW) is listed


def test_a_patient_whose_consents_are_not_known_may_have_listed_anyone() -> None:
    assert excluded(None, DR_A, NOW) is None
    assert excluded((), DR_A, NOW) is False


def test_certainly_listed_is_listed_although_another_consent_cannot_be_computed() -> None:
    broken, listed = read4(r4({"type": "novel"})), read4(r4(deny(actor("Practitioner/a"))))
    assert excluded([broken, listed], DR_A, NOW) is True


def test_who_is_not_known_completely_may_be_anyone_who_is_listed() -> None:
    others = [read4(r4(deny(actor(f"Practitioner/other{n}")), own=f"c{n}")) for n in range(3)]
    assert excluded(others, DR_A, NOW) is False
    assert excluded(others, replace(DR_A, complete=False), NOW) is None


def test_time_moves_on_although_the_list_is_kept() -> None:
    until = {"period": {"end": "2024-06-30"}}
    kept = (read4(r4(deny(actor("Practitioner/a"), until))),)
    day = 86_400
    listed = [excluded(kept, DR_A, NOW + days * day) for days in (0, 29, 31, 0)]
    assert listed == [True, True, False, True]


@given(CONSENTS)
def test_it_is_nobody_s_matter_what_is_said_to_others(directives: list[ConsentDirective]) -> None:
    """Consents that name other people change nothing, however many there are."""
    others = [read4(r4(deny(actor(f"Practitioner/o{n}")), own=f"o{n}")) for n in range(20)]
    assert excluded([*others, *directives], DR_A, NOW) is excluded(directives, DR_A, NOW)
