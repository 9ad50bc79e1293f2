"""JSON Schema (2020-12) of the files of a policy directory: completion and hover text for editors. Pure.

Printed into `policies/schema/`, never edited: the pydantic models are the only source.
"""

import json

from pydantic import JsonValue

from proxy.policy.cases import CaseFile
from proxy.policy.labels import LabelFile
from proxy.policy.model import Policy
from proxy.policy.terms import Terms, Written

SCHEMAS: dict[str, tuple[type[Written], str]] = {
    "policy.schema.json": (Policy, "Policy file of the consent gateway"),
    "terms.schema.json": (Terms, "terms.yaml: names for codes"),
    "labels.schema.json": (LabelFile, "labels.yaml: labelling rules and known labels"),
    "cases.schema.json": (CaseFile, "Test cases of policies"),
}
"""The files of `policies/schema/`: name, model, title."""


def schema(name: str = "policy.schema.json") -> dict[str, JsonValue]:
    """Give one of `SCHEMAS`; without a name, that of policy files."""
    model, title = SCHEMAS[name]
    tree = _as_written(model.model_json_schema())
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **tree, "title": title}


def printed(name: str = "policy.schema.json") -> str:
    """Give one of `SCHEMAS` as it stands in its file."""
    return json.dumps(schema(name), indent=2, ensure_ascii=False) + "\n"


def _as_written(tree: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """Leave out what stands for `absent` and cannot be written: empty defaults and null."""
    kept = {
        key: value for key, value in tree.items() if key != "default" or not _says_absent(value)
    }
    match kept.pop("anyOf", None):
        case [dict() as only, {"type": "null"}]:
            kept = only | kept
        case None:
            pass
        case other:
            kept["anyOf"] = other
    return {
        key: _as_written(value) if isinstance(value, dict) else value for key, value in kept.items()
    }


def _says_absent(default: JsonValue) -> bool:
    return default is None or default == "" or isinstance(default, dict) or default == []
