from pathlib import Path

import pytest

from proxy.app.proving import proven
from proxy.errors import UnusableError
from tests.policy import packs

POLICY = packs.POLICY.replace("rules:", "unlabelled: N\nrules:")


def test_policies_without_a_finding_are_given_with_the_number_of_their_cases(
    tmp_path: Path,
) -> None:
    found = proven(packs.write(tmp_path, policy=POLICY))
    assert ([rule.id for rule in found.policies.rules], found.cases) == (["masked", "team"], 8)


WRONG = {
    "no such directory": {},
    "is no role": {"policy": POLICY.replace("[physician]", "[wizard]")},
    "expected deny, got permit": {"policy": POLICY.replace("consent: [permit]", "consent: [permit, none]")},
    "`wizard` is no role": {"policy": POLICY, "cases": packs.CASES.replace("[physician]", "[wizard]")},
}  # fmt: skip


@pytest.mark.parametrize("why", WRONG)
def test_a_finding_anywhere_is_told_and_nothing_is_given(tmp_path: Path, why: str) -> None:
    directory = packs.write(tmp_path / "p", **WRONG[why]) if WRONG[why] else tmp_path / "nowhere"
    with pytest.raises(UnusableError, match=why):
        proven(directory)
