"""Arguments that several commands share."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

Config = Annotated[Path, typer.Option("--config", help="The gateway.yaml.")]
Since = Annotated[
    str, typer.Option("--since", help="Only what was recorded at or after this date or date-time.")
]


class FhirVersion(StrEnum):
    """FHIR versions of the embedded server."""

    R4 = "4.0.1"
    R4B = "4.3.0"
    R5 = "5.0.0"


class Told(StrEnum):
    """How an examination is printed."""

    TEXT = "text"
    JSON = "json"


As = Annotated[Told, typer.Option("--format", help="How it is printed.")]


class Format(StrEnum):
    """How a report is printed."""

    TABLE = "table"
    JSON = "json"
