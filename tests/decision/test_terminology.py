from typing import get_args

import pytest

from proxy.decision.terminology import (
    PURPOSES,
    RANK,
    SENSITIVITY,
    descends,
    is_known,
    is_sensitivity,
    most_specific,
    purpose_lineage,
)  # fmt: skip
from proxy.fhir.coding import ACT_CODE, ACT_REASON, CONFIDENTIALITY, OBSERVATION_VALUE, Coding
from proxy.policy.terms import Purpose


def test_confidentiality_is_totally_ordered() -> None:
    assert sorted(RANK, key=RANK.__getitem__) == ["U", "L", "M", "N", "R", "V"]


@pytest.mark.parametrize(
    ("code", "ancestor", "below"),
    [
        ("ETHUD", "SUD", True), ("ETHUD", "ETH", True), ("ETHUD", "SPI", True), ("OPIOIDUD", "ETH", True),
        ("SUD", "ETH", False), ("ETH", "SUD", False), ("PSY", "PSY", True), ("PSYTHPN", "PSY", False),
        ("CEL", "VIP", True), ("VIP", "CEL", True), ("HIV", "_InformationSensitivityPolicy", True),
        ("SICKLE", "SCA", True), ("novel", "novel", True),
    ],
)  # fmt: skip
def test_sensitivity_subsumes_in_both_trees(code: str, ancestor: str, below: bool) -> None:
    assert descends(Coding(ACT_CODE, code), Coding(ACT_CODE, ancestor)) is below


def test_equal_codes_of_different_systems_are_different() -> None:
    assert not descends(Coding(ACT_CODE, "PSY"), Coding("http://example.org", "PSY"))
    assert not is_sensitivity(Coding(CONFIDENTIALITY, "HIV"))


@pytest.mark.parametrize(
    ("purpose", "lineage"),
    [
        ("BTG", {"BTG", "ETREAT", "TREAT", "PurposeOfUse"}),
        ("HTEST", {"HTEST", "SYSDEV", "HOPERAT", "PurposeOfUse"}),
        ("PATRQT", {"PATRQT", "PurposeOfUse"}),
        ("novel", {"novel"}),
    ],
)
def test_a_purpose_has_its_ancestors(purpose: str, lineage: set[str]) -> None:
    assert purpose_lineage(purpose) == lineage


@pytest.mark.parametrize(
    ("asked", "left"),
    [
        ({"TREAT", "BTG"}, {"BTG"}),
        ({"TREAT", "HPAYMT"}, {"TREAT", "HPAYMT"}),
        ({"PurposeOfUse", "TREAT"}, {"TREAT"}),
        (set(), set()),
    ],
)
def test_the_most_specific_purposes_imply_the_others(asked: set[str], left: set[str]) -> None:
    assert most_specific(frozenset(asked)) == left


@pytest.mark.parametrize(
    ("label", "known"),
    [
        (Coding(CONFIDENTIALITY, "R"), True),
        (Coding(CONFIDENTIALITY, "HIV"), False),
        (Coding(ACT_CODE, "HIV"), True),
        (Coding(ACT_CODE, "NODSCLCD"), True),
        (Coding(ACT_CODE, "42CFRPart2"), True),
        (Coding(ACT_CODE, "HIVV"), False),
        (Coding(ACT_REASON, "HTEST"), True),
        (Coding(OBSERVATION_VALUE, "REDACTED"), True),
        (Coding("", "R"), False),
        (Coding("http://example.org", "R"), False),
    ],
)
def test_a_label_is_known_by_its_family(label: Coding, known: bool) -> None:
    assert is_known(label) is known


def test_policies_and_consents_know_the_same_purposes() -> None:
    assert set(get_args(Purpose)) == set(PURPOSES)


def test_every_sensitivity_code_ends_at_the_root() -> None:
    assert all("_InformationSensitivityPolicy" in lineage for lineage in SENSITIVITY.values())
