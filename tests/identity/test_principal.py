"""proxy.identity.principal: which organisations a principal names, and whether it acts for another."""

from dataclasses import replace

from proxy.fhir.coding import Identifier
from proxy.identity.principal import KINDS, Principal, PrincipalKind, Situation
from proxy.identity.scopes import Scopes

PERSON = Principal("i", "s", "c", "t", PrincipalKind.PRACTITIONER, Scopes(), 1.0)
HOUSE, SITE, OWNER = (Identifier("urn:finess", value) for value in "123")


def test_who_names_no_organisation_is_of_none() -> None:
    assert PERSON.organizations == frozenset()


def test_an_organisation_its_place_and_whom_that_belongs_to_all_count() -> None:
    named = replace(PERSON, organization=HOUSE)
    assert named.organizations == {HOUSE}
    there = Situation("2/10", frozenset({SITE}), frozenset({OWNER}))
    assert replace(named, situation=there).organizations == {HOUSE, SITE, OWNER}


def test_who_acts_for_another_does_so_even_where_the_other_is_known_in_part() -> None:
    assert not PERSON.acts_for_another
    assert replace(PERSON, on_behalf_of="Practitioner/b").acts_for_another
    assert replace(PERSON, delegator=PERSON).acts_for_another


def test_no_kind_of_person_is_a_system() -> None:
    assert PrincipalKind.SYSTEM not in KINDS.values()
    assert PrincipalKind.UNKNOWN not in KINDS.values()
