"""What commands read: claims, keys, sample resources, and the samples and policies that come with the product."""

from collections.abc import Mapping
from pathlib import Path

import msgspec
import orjson

from proxy.errors import Finding, UnusableError
from proxy.settings import read_file


class _Typed(msgspec.Struct):
    resourceType: str = ""  # noqa: N815  (FHIR's name)


def claims_of(path: Path) -> Mapping[str, object]:
    """Read a JSON object of claims; `UnusableError` if it is none."""
    try:
        claims = orjson.loads(read_file(path, "the claims"))
    except orjson.JSONDecodeError as error:
        raise UnusableError(Finding(str(path), error.lineno, f"is no JSON: {error.msg}")) from None
    if not isinstance(claims, dict):
        raise UnusableError(Finding(str(path), 1, "is no JSON object of claims"))
    return claims


def resources_in(directory: Path) -> list[Path]:
    """Give the JSON files below a directory that are FHIR resources, in order; others (claim sets…) are left out."""
    if not directory.is_dir():
        raise UnusableError(Finding(str(directory), 1, "there is no such directory of resources"))
    files = [path for path in sorted(directory.rglob("*.json")) if _is_resource(path)]
    if not files:
        raise UnusableError(Finding(str(directory), 1, "the directory holds no FHIR resource"))
    return files


def _is_resource(path: Path) -> bool:
    try:
        typed = msgspec.json.decode(read_file(path, "the resource"), type=_Typed)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UnusableError(Finding(str(path), 1, f"is no JSON: {error}")) from None
    return bool(typed.resourceType)
