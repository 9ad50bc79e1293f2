import json

import pytest
from fhir.resources.capabilitystatement import CapabilityStatement as StatementR5
from fhir.resources.R4B.capabilitystatement import CapabilityStatement as StatementR4

from proxy.sandbox.capability import capability


@pytest.mark.parametrize(("version", "model"), [("4.0.1", StatementR4), ("5.0.0", StatementR5)])
def test_the_statement_is_valid_and_says_what_the_server_is_not(
    version: str, model: type[StatementR4] | type[StatementR5]
) -> None:
    written = capability(version, "http://here/fhir")

    model.model_validate_json(written)
    statement = json.loads(written)
    assert "no production server" in statement["software"]["name"]
    assert "no production server" in statement["description"]
    assert statement["fhirVersion"] == version


def test_only_parameters_that_can_be_evaluated_are_promised() -> None:
    resources = json.loads(capability("4.0.1", "x"))["rest"][0]["resource"]
    (observation,) = (r for r in resources if r["type"] == "Observation")
    names = {param["name"] for param in observation["searchParam"]}

    assert {"code", "patient", "_lastUpdated"} <= names
    assert not {"code-value-date", "_text"} & names
    assert "Observation:subject" in observation["searchInclude"]
