"""Whether an element path exists in FHIR (StructureDefinition, as fhir.resources has it). Pure.

A path that names nothing would redact nothing: a slip of the pen would disclose. So paths are proven at load.
"""

import functools
import typing
from collections.abc import Iterator

from fhir.resources import get_fhir_model_class as r5_model_of
from fhir.resources.R4B import get_fhir_model_class as r4b_model_of
from pydantic import BaseModel

from proxy.fhir.definitions import FHIR_VERSIONS, definitions_of

Model = type[BaseModel]

_ANY_RESOURCE = "DomainResource"


@functools.cache
def resource_types() -> frozenset[str]:
    """Give the resource types of every FHIR version we serve."""
    return frozenset().union(*(definitions_of(version).resource_types for version in FHIR_VERSIONS))


@functools.cache
def patient_types() -> frozenset[str]:
    """Give the types that can be about a patient: in the patient compartment, or with an element that names one."""
    found = set(_CARRIERS)
    for version in FHIR_VERSIONS:
        tables = definitions_of(version)
        found |= set(tables.compartment_patient)
        found |= {
            name
            for name, paths in tables.references.items()
            if any("." not in path and _names_patient(targets) for path, targets in paths.items())
        }
    return frozenset(found)


_MANY_TARGETS = 40
_CARRIERS = ("Patient", "Binary", "Bundle", "Linkage", "MessageHeader", "Parameters")
"""Types that can hold or name a patient's data without an element made for it."""


def _names_patient(targets: tuple[str, ...]) -> bool:
    """Whether a Reference is meant for patients; one that may name anything is not."""
    return "Patient" in targets and len(targets) < _MANY_TARGETS


@functools.cache
def exists(path: str) -> bool:
    """Whether `Type.a.b` or `*.a` is an element of that type (of any), in R4B or R5; choice types without their suffix."""
    name, *steps = path.split(".")
    names = [_ANY_RESOURCE, *sorted(resource_types())] if name == "*" else [name]
    return any(_reaches(model, tuple(steps)) for each in names for model in _models(each))


def _models(name: str) -> Iterator[Model]:
    for model_of in (r4b_model_of, r5_model_of):
        try:
            yield model_of(name)
        except (KeyError, ValueError):
            continue


def _reaches(model: Model, steps: tuple[str, ...]) -> bool:
    if not steps:
        return True
    return any(_reaches_type(kind, steps[1:]) for kind in _fields(model).get(steps[0], ()))


def _reaches_type(kind: Model | None, steps: tuple[str, ...]) -> bool:
    """Whether steps lead on from an element; `None` is a primitive, where every path ends."""
    return not steps if kind is None else _reaches(kind, steps)


@functools.cache
def _fields(model: Model) -> dict[str, tuple[Model | None, ...]]:
    """Give each element with the types it can have; `value[x]` stands as `value`."""
    found: dict[str, tuple[Model | None, ...]] = {}
    for field_name, field in model.model_fields.items():
        extra = field.json_schema_extra
        if not isinstance(extra, dict) or not extra.get("element_property"):
            continue
        name = str(extra.get("one_of_many") or field.alias or field_name)
        found[name] = (*found.get(name, ()), _model_in(field.annotation))
    return found


def _model_in(annotation: object) -> Model | None:
    """Give the model inside an annotation such as `List[HumanNameType] | None`; None for a primitive."""
    arguments = typing.get_args(annotation)
    if arguments:
        return next(filter(None, map(_model_in, arguments)), None)
    model_of = getattr(annotation, "get_model_klass", None)
    return model_of() if model_of else None
