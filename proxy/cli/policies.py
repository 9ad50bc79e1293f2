"""`check` and `schema`: policies examined before they are in force (PAP)."""

import json
from pathlib import Path

from proxy.decision.cases import judge_cases
from proxy.errors import Finding, UnusableError
from proxy.policy.load import load, load_cases
from proxy.policy.schemas import printed
from proxy.settings import Settings


def examined(directory: Path) -> str:
    """Load a directory of policies and run its test cases; one line that says what was examined, or `UnusableError`."""
    if not directory.is_dir():
        raise UnusableError(Finding(str(directory), 1, "there is no such directory of policies"))
    policies = load(directory)
    cases = load_cases(directory, policies)
    findings = judge_cases(policies, cases, policies.places)
    if findings:
        raise UnusableError(*findings)
    return f"{directory}: {len(policies.rules)} rules, {len(cases)} test cases, all as expected"


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
