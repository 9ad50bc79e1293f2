import typing
from collections.abc import Iterator

import pytest
from fhir.resources import get_fhir_model_class as r5_model_of
from fhir.resources.R4B import get_fhir_model_class as r4b_model_of
from pydantic import BaseModel

from proxy.fhir.definitions import FHIR_VERSIONS, definitions_of
from proxy.obligations.mandatory import mandatory_of

Model = type[BaseModel]
TYPES = sorted(definitions_of("4.3.0").resource_types | definitions_of("5.0.0").resource_types)


def models_of(rtype: str) -> Iterator[Model]:
    for model_of in (r4b_model_of, r5_model_of):
        try:
            yield model_of(rtype)
        except (KeyError, ValueError):
            continue


def demanded(model: Model, parent: str = "", above: tuple[Model, ...] = ()) -> Iterator[str]:
    """`parent.name` of what must be there inside the backbone elements of a model."""
    for name, field in model.model_fields.items():
        extra = field.json_schema_extra
        if not isinstance(extra, dict) or not extra.get("element_property"):
            continue
        must = (
            field.is_required()
            or extra.get("element_required")
            or extra.get("one_of_many_required")
        )
        if must and parent:
            yield f"{parent}.{extra.get('one_of_many') or field.alias or name}"
        inner = model_in(field.annotation)
        if inner is not None and inner not in above and _is_backbone(inner):
            yield from demanded(inner, field.alias or name, (*above, model, inner))


def model_in(annotation: object) -> Model | None:
    arguments = typing.get_args(annotation)
    if arguments:
        return next(filter(None, map(model_in, arguments)), None)
    model_of = getattr(annotation, "get_model_klass", None)
    return model_of() if model_of else None


def _is_backbone(model: Model) -> bool:
    return any(one.__name__ == "BackboneElement" for one in model.__mro__)


@pytest.mark.parametrize(
    "rtype",
    [
        "Observation",
        "Patient",
        "Bundle",
        "Appointment",
        "Claim",
        "Consent",
        "Composition",
        "Provenance",
        "CareTeam",
        "DocumentReference",
        "Group",
        "QuestionnaireResponse",
        "Encounter",
        "AuditEvent",
    ],
)
def test_the_table_has_all_that_the_definitions_demand(rtype: str) -> None:
    found = {one for model in models_of(rtype) for one in demanded(model)}
    assert found <= mandatory_of(rtype)


@pytest.mark.parametrize("rtype", TYPES)
def test_the_top_level_of_every_version_counts(rtype: str) -> None:
    for version in FHIR_VERSIONS:
        assert definitions_of(version).mandatory.get(rtype, frozenset()) <= mandatory_of(rtype)


def test_an_unknown_type_demands_what_data_types_demand() -> None:
    assert "note.text" in mandatory_of("Nonsense")
    assert "status" not in mandatory_of("Nonsense")
