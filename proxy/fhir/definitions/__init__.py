"""FHIR definitions (StructureDefinition, SearchParameter, CompartmentDefinition) of R4, R4B and R5 as tables.

Ask `definitions_of("4.0.1")`; the tables of one version are loaded when first asked for.
"""

import functools
import importlib
from typing import cast

from proxy.fhir.definitions.model import Definitions, Kind, SearchParam

__all__ = ["FHIR_VERSIONS", "Definitions", "Kind", "SearchParam", "definitions_of"]

FHIR_VERSIONS = {"4.0.1": "r4", "4.3.0": "r4b", "5.0.0": "r5"}


@functools.cache
def definitions_of(fhir_version: str) -> Definitions:
    """Give the tables of a FHIR version (`4.0.1`, `4.3.0` or `5.0.0`); KeyError for any other."""
    module = importlib.import_module(f"proxy.fhir.definitions.{FHIR_VERSIONS[fhir_version]}")
    return cast("Definitions", module.DEFINITIONS)
