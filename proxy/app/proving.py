"""Policies proven before they are used: read whole, compared with each other, and tried by their own test cases (PAP)."""

from dataclasses import dataclass
from pathlib import Path

from proxy.decision.cases import judge_cases
from proxy.errors import Finding, UnusableError
from proxy.policy.load import load, load_cases
from proxy.policy.model import PolicySet


@dataclass(frozen=True, slots=True)
class Proven:
    """Policies without a finding, and how many cases tried them."""

    policies: PolicySet
    cases: int


def proven(directory: Path) -> Proven:
    """Read a directory of policies and run its test cases; `UnusableError` with every finding."""
    if not directory.is_dir():
        raise UnusableError(Finding(str(directory), 1, "there is no such directory of policies"))
    policies = load(directory)
    cases = load_cases(directory, policies)
    findings = judge_cases(policies, cases, policies.places)
    if findings:
        raise UnusableError(*findings)
    return Proven(policies, len(cases))
