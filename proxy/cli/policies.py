"""`check` and `schema`: policies examined before they are in force (PAP)."""

import json
from pathlib import Path

from proxy.decision.cases import Place, judge_cases
from proxy.errors import Finding, UnusableError
from proxy.policy.load import LABELS, TERMS, load, load_cases
from proxy.policy.model import Policy
from proxy.policy.parse import parse
from proxy.policy.schemas import printed
from proxy.settings import Settings, read_file


def examined(directory: Path) -> str:
    """Load a directory of policies and run its test cases; one line that says what was examined, or `UnusableError`."""
    if not directory.is_dir():
        raise UnusableError(Finding(str(directory), 1, "there is no such directory of policies"))
    policies = load(directory)
    cases = load_cases(directory, policies)
    findings = judge_cases(policies, cases, _places(directory))
    if findings:
        raise UnusableError(*findings)
    return f"{directory}: {len(policies.rules)} rules, {len(cases)} test cases, all as expected"


def _places(directory: Path) -> dict[str, Place]:
    """Where each rule stands."""
    places: dict[str, Place] = {}
    for path in sorted(directory.glob("*.yaml")):
        if path.name in (TERMS, LABELS):
            continue
        source = parse(str(path), read_file(path, "the policy").decode(), Policy)
        for index, rule in enumerate(source.content.rules):
            places[rule.id] = (source.file, source.document.line(("rules", index)))
    return places


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
