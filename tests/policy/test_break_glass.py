"""The section `break_glass`: what must be said, what is bounded, and what stands for the rest."""

import pytest
from pydantic import ValidationError

from proxy.policy.break_glass import BreakGlass

LEAST = {"may_open": {"role": ["physician"]}, "reasons": ["v3-ActReason#ETREAT"]}


def section(**written: object) -> BreakGlass:
    return BreakGlass.model_validate(
        {name: as_tuples(value) for name, value in {**LEAST, **written}.items()}
    )


def as_tuples(value: object) -> object:
    """Lists as validation of values wants them; files are read as JSON, where a list is a list."""
    if isinstance(value, list):
        return tuple(map(as_tuples, value))
    if isinstance(value, dict):
        return {name: as_tuples(one) for name, one in value.items()}
    return value


def test_what_is_not_said_is_four_hours_and_ordinary_data() -> None:
    least = section()
    assert (least.seconds, least.ceiling, least.never, least.trusts_purpose_of) == (
        14_400,
        "N",
        (),
        (),
    )
    assert (least.most_open, least.justification) == (5, 20)


WRONG = [
    ({"may_open": {}}, "everybody could break the glass"),
    ({"may_open": {"relationship": ["care-team"]}}, "takes no `relationship`"),
    ({"never": [{"type": ["Consent"]}, {}]}, "an entry of `never` is empty"),
    ({"never": []}, "at least 1"),
    ({"reasons": []}, "at least 1"),
    ({"reasons": ["emergency"]}, "should match pattern"),
    ({"hours": 0}, "greater than 0"),
    ({"hours": 25}, "less than or equal to 24"),
    ({"ceiling": "X"}, "'U', 'L'"),
    ({"most_open": 0}, "greater than or equal to 1"),
    ({"justification": 0}, "greater than or equal to 1"),
    ({"trusts_purpose_of": [""]}, "at least 1"),
    ({"opens": ["everything"]}, "Extra inputs"),
]


@pytest.mark.parametrize(("written", "why"), WRONG)
def test_a_ceremony_without_bounds_is_refused(written: dict[str, object], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        section(**written)


@pytest.mark.parametrize("missing", ["may_open", "reasons"])
def test_who_and_why_must_be_said(missing: str) -> None:
    with pytest.raises(ValidationError, match="Field required"):
        BreakGlass.model_validate(
            {name: as_tuples(one) for name, one in LEAST.items() if name != missing}
        )
