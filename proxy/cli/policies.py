"""`check` and `schema`: policies examined before they are in force (PAP)."""

import json
from pathlib import Path

from proxy.app.proving import proven
from proxy.policy.schemas import printed
from proxy.settings import Settings


def examined(directory: Path) -> str:
    """Load a directory of policies and run its test cases; one line that says what was examined, or `UnusableError`."""
    found = proven(directory)
    return (
        f"{directory}: {len(found.policies.rules)} rules, {found.cases} test cases, all as expected"
    )


def schema_of_policies() -> str:
    """Give the JSON Schema of policy files."""
    return printed().rstrip("\n")


def schema_of_settings() -> str:
    """Give the JSON Schema of gateway.yaml."""
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "gateway.yaml of the consent gateway",
    }
    tree = Settings.model_json_schema()
    return json.dumps({**tree, **head}, indent=2, ensure_ascii=False)
