from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.fhir.coding import ACT_CODE, CONFIDENTIALITY, INLINE_LABEL, Coding
from proxy.fhir.envelope import Inline, Part
from proxy.fhir.inline import FLAG, LOST, inline_of, with_lost

OWN = frozenset({Coding(CONFIDENTIALITY, "N")})
R, V = Coding(CONFIDENTIALITY, "R"), Coding(CONFIDENTIALITY, "V")


def label(code: str = "R", url: str = INLINE_LABEL) -> dict[str, Any]:
    return {"url": url, "valueCoding": {"system": CONFIDENTIALITY, "code": code}}


HERE = {"extension": [label()]}

ALONE: list[tuple[dict[str, Any], tuple[str | int, ...]]] = [
    ({"note": [{"text": "x"}, {"text": "y", **HERE}]}, ("note", 1)),
    ({"valueString": "x", "_valueString": HERE}, ("valueString",)),
    ({"given": ["a", "b"], "_given": [None, HERE]}, ("given", 1)),
    ({"_given": [HERE]}, ("given", 0)),
    ({"component": [{"valueQuantity": HERE}]}, ("component", 0, "valueQuantity")),
    ({"code": {"coding": [HERE]}}, ("code", "coding", 0)),
    ({"extension": [{"url": "x", **HERE}]}, ("extension", 0)),
    ({"extension": [{"url": "x", "valueCodeableConcept": HERE}]}, ("extension", 0, "valueCodeableConcept")),
    ({"text": {"div": "x", **HERE}}, ("text",)),
    ({"contained": [{"name": [HERE]}]}, ("contained", 0, "name", 0)),
]  # fmt: skip


@pytest.mark.parametrize(("resource", "steps"), ALONE)
def test_the_element_that_bears_the_extension_is_labelled(
    resource: dict[str, Any], steps: tuple[str | int, ...]
) -> None:
    assert inline_of(resource, OWN) == Inline(OWN, (Part(steps, frozenset({R})),))


WHOLE: list[dict[str, Any]] = [
    HERE,
    {"meta": HERE},
    {"meta": {"tag": [HERE]}},
    {"_id": HERE},
    {"_language": HERE},
    {"contained": [HERE]},
    {"contained": [{"meta": HERE}]},
    {"status": "final", "_status": HERE},
    {"verificationStatus": {"coding": [HERE]}},
    {"modifierExtension": [{"url": "x", **HERE}]},
    {"modifierExtension": [label()]},
    {"extension": label()},
    {"note": [{"more": label()}]},
    {"a.b": HERE},
    {"a[0]": HERE},
    {"note": [{"": HERE}]},
    {"note": [{"text": "x", **HERE}, {"odd": label()}]},
]


@pytest.mark.parametrize("resource", WHOLE)
def test_a_label_that_is_not_of_one_element_alone_is_of_the_whole(resource: dict[str, Any]) -> None:
    assert inline_of(resource, OWN) == Inline(OWN | {R}, ())


def test_what_stands_in_a_labelled_element_has_its_labels_too() -> None:
    inner = {"valueString": "x", "_valueString": {"extension": [label("V")]}}
    inline = inline_of({"component": [{**inner, **HERE}]}, OWN)
    assert set(inline.parts) == {
        Part(("component", 0), frozenset({R})),
        Part(("component", 0, "valueString"), frozenset({R, V})),
    }


def test_what_stands_in_a_labelled_resource_has_its_labels_too() -> None:
    inline = inline_of({"note": [{"extension": [label("V")]}], **HERE}, OWN)
    assert inline == Inline(OWN | {R}, (Part(("note", 0), frozenset({R, V})),))


SPELLED = [
    INLINE_LABEL + "|1.0.0",
    INLINE_LABEL + "/",
    INLINE_LABEL.upper(),
    INLINE_LABEL.replace("http:", "https:"),
    INLINE_LABEL.replace("extension-inline", "inline"),
]


@pytest.mark.parametrize("url", SPELLED)
def test_however_its_url_is_spelled_a_label_counts(url: str) -> None:
    inline = inline_of({"note": [{"extension": [label(url=url)]}]}, OWN)
    assert inline.parts == (Part(("note", 0), frozenset({R})),)


def test_labels_that_a_resource_says_it_has_and_has_not_are_labels_nobody_knows() -> None:
    flagged = OWN | {Coding(ACT_CODE, FLAG)}
    assert inline_of({"note": [{"text": "x"}]}, flagged) == Inline(flagged | {LOST}, ())
    assert inline_of({"note": [HERE]}, flagged).own == flagged
    assert with_lost(OWN) == OWN


trees = st.recursive(
    st.sampled_from(["x", 1, None]) | st.just(HERE),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["note", "_given", "given", "code", "meta", "extension", "status"]), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@given(trees)
def test_no_label_is_lost(tree: Any) -> None:
    inline = inline_of({"code": tree}, OWN)
    stated = "inline-sec-label" in repr(tree)
    assert (R in inline.own.union(*(part.labels for part in inline.parts))) == stated
