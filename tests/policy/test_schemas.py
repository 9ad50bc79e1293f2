from pathlib import Path

import pytest

from proxy.policy.schemas import SCHEMAS, printed, schema

FOLDER = Path(__file__).parents[2] / "policies" / "schema"


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_committed_schema_is_the_one_that_the_models_print(name: str) -> None:
    assert (FOLDER / name).read_text(encoding="utf-8") == printed(name)


def test_no_schema_is_left_over() -> None:
    assert {path.name for path in FOLDER.glob("*.json")} == set(SCHEMAS)


def fields_without_description(tree: object) -> list[str]:
    if isinstance(tree, list):
        return [name for branch in tree for name in fields_without_description(branch)]
    if not isinstance(tree, dict):
        return []
    properties = tree.get("properties", {})
    missing = [name for name, field in properties.items() if "description" not in field]
    return missing + [
        name for branch in tree.values() for name in fields_without_description(branch)
    ]


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_field_has_a_description_which_becomes_hover_text(name: str) -> None:
    assert fields_without_description(schema(name)) == []


def test_no_null_and_no_empty_default_is_offered() -> None:
    text = printed()
    assert '"null"' not in text
    assert '"default": []' not in text
