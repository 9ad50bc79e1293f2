"""The composition root: what it refuses to start with, and that it stops as it started."""

import pytest

from proxy.app.reviewing import reviewers_of
from proxy.errors import UnusableError
from proxy.fhir.coding import Coding
from proxy.policy.load import load
from proxy.settings import Reviewers
from tests.stage import ROOT


def test_reviewers_are_named_by_roles_that_the_terms_know() -> None:
    terms = load(ROOT / "policies" / "baseline").terms
    uri = "http://terminology.hl7.org/CodeSystem/v3-RoleClass"
    roles = reviewers_of(Reviewers(roles=("v3-RoleClass#REVIEWER",)), terms)
    assert Coding(uri, "REVIEWER") in roles
    assert {role.code for role in roles} == {"REVIEWER"}
    with pytest.raises(UnusableError, match=r"no code system 'nowhere'"):
        reviewers_of(Reviewers(roles=("nowhere#X",)), terms)
