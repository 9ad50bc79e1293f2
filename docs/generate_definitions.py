"""Write the FHIR definition tables of `proxy/fhir/definitions/` from the HL7 definition packages.

    python docs/generate_definitions.py R4_DIR R4B_DIR R5_DIR

Each argument is the unpacked `package/` directory of one HL7 package, published under CC0:

    R4_DIR    hl7.fhir.r4.core or hl7.fhir.r4.examples   4.0.1
    R4B_DIR   hl7.fhir.r4b.core                          4.3.0
    R5_DIR    hl7.fhir.r5.core                           5.0.0

Read are StructureDefinition, SearchParameter and CompartmentDefinition. The product never imports this file;
run it again when HL7 publishes a new package, and commit what it wrote.

A search parameter is a FHIRPath expression. What it reads is written down as plain element paths
(`Observation.value.as(Quantity)` -> `valueQuantity`), a cast by `resolve() is Patient` narrows the targets, and
one equality (`telecom.where(system='phone')`) becomes a filtered path `telecom[system=phone]`. Everything else
keeps its name and kind but no path, so that consumers know the parameter and know that they cannot evaluate it.
"""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Json = dict[str, Any]

VERSIONS = (("r4", "4.0.1", "R4"), ("r4b", "4.3.0", "R4B"), ("r5", "5.0.0", "R5"))
TARGET = Path(__file__).parent.parent / "proxy" / "fhir" / "definitions"
SHAPES = {
    "token": {
        "boolean", "CodeableConcept", "CodeableReference", "code", "Coding", "ContactPoint", "id", "Identifier",
        "string", "uri",
    },
    "reference": {"canonical", "CodeableReference", "Reference", "uri"},
    "string": {"Address", "HumanName", "markdown", "string"},
    "date": {"date", "dateTime", "instant", "Period", "Timing"},
    "quantity": {"Age", "Duration", "Money", "Quantity", "Range", "SampledData"},
    "number": {"decimal", "integer", "integer64", "positiveInt", "unsignedInt"},
    "uri": {"canonical", "oid", "uri", "url", "uuid"},
}  # fmt: skip
PATHLESS = {"_in"}  # membership, although its expression is `Resource.id`
OPEN_TYPES = {"Extension", "Resource"}
STEP = re.compile(
    r"\.?(?:"
    r"as\((?P<as>\w+)\)|ofType\((?P<of>\w+)\)|where\(resolve\(\) is (?P<is>\w+)\)"
    r"|where\((?P<key>\w+)='(?P<value>[^']+)'\)|(?P<name>\w+))"
)


class Structures:
    """The elements of all types and data types of one FHIR version."""

    def __init__(self, package: Path) -> None:
        self.elements: dict[str, Json] = {}
        self.children: dict[str, list[str]] = {}
        self.resources: set[str] = set()
        for definition in read(package, "StructureDefinition"):
            if definition.get("derivation") == "constraint" or definition["kind"] == "logical":
                continue
            if definition["kind"] == "resource" and not definition["abstract"]:
                self.resources.add(definition["type"])
            for element in definition["snapshot"]["element"]:
                self.add(element)

    def add(self, element: Json) -> None:
        """Remember one element under its path."""
        path = element["path"]
        self.elements[path] = element
        if "." in path:
            self.children.setdefault(path.rpartition(".")[0], []).append(path)

    def types(self, path: str) -> list[str]:
        """Give the type codes of an element; FHIRPath system types are `string`."""
        codes = [t["code"] for t in self.elements[path].get("type", [])]
        return ["string" if c.startswith("http") else c for c in codes]

    def targets(self, path: str, code: str) -> set[str]:
        """Give the resource types a Reference at this path may name."""
        for t in self.elements[path].get("type", []):
            if t["code"] == code:
                return {p.rpartition("/")[2] for p in t.get("targetProfile", [])} or {"Resource"}
        return {"Resource"}

    def homes(self, path: str, code: str) -> str:
        """Give the path under which the children of an element of this type are defined."""
        reference = self.elements[path].get("contentReference")
        if reference:
            return str(reference).rpartition("#")[2]
        return path if code in {"BackboneElement", "Element", ""} or path in self.children else code


def read(package: Path, kind: str) -> Iterator[Json]:
    """All definitions of one kind, ordered by file name."""
    for file in sorted(package.glob(f"{kind}-*.json")):
        yield json.loads(file.read_text(encoding="utf-8"))


def choice(name: str, code: str) -> str:
    """Give the JSON name of a choice element with one type: value[x] + Quantity -> valueQuantity."""
    return name.removesuffix("[x]") + code[0].upper() + code[1:]


class Place:
    """Where a FHIRPath walk stands: JSON path so far, home of the children, and the type codes."""

    def __init__(self, json_path: str, element: str, codes: list[str]) -> None:
        self.json_path, self.element, self.codes = json_path, element, codes

    def down(self, structures: Structures, name: str) -> "Place | None":
        """Give the place of a child element, or None if there is none of this name."""
        for code in self.codes or [""]:
            home = (
                structures.homes(self.element, code)
                if self.element in structures.elements
                else code
            )
            for candidate in (f"{home}.{name}", f"{home}.{name}[x]"):
                if candidate in structures.elements:
                    last = name + "[x]" if candidate.endswith("[x]") else name
                    joined = f"{self.json_path}.{last}".lstrip(".")
                    return Place(joined, candidate, structures.types(candidate))
        return None

    def cast(self, code: str) -> "Place | None":
        """Give the place narrowed to one type of a choice."""
        found = [c for c in self.codes if c.lower() == code.lower()]
        if not found:
            return None
        if not self.json_path.endswith("[x]"):
            return Place(self.json_path, self.element, found)
        return Place(choice(self.json_path, found[0]), self.element, found)

    def spellings(self, kind: str) -> list[str]:
        """Give the JSON paths: a choice is spelled out with every type that suits the parameter's kind."""
        suited = [c for c in self.codes if c in SHAPES.get(kind, set())]
        if self.json_path.endswith("[x]"):
            return [choice(self.json_path, c) + tail(c, kind) for c in suited]
        return [self.json_path + tail(self.codes[0] if self.codes else "", kind)]


def tail(code: str, kind: str) -> str:
    """R5 CodeableReference: a reference parameter reads `.reference`, a token parameter `.concept`."""
    if code != "CodeableReference":
        return ""
    return ".concept" if kind == "token" else ".reference"


def cleaned(part: str) -> str:
    """One alternative of an expression without outer brackets, `x as T` spelled `x.as(T)`."""
    part = part.strip()
    while part.startswith("(") and part.endswith(")"):
        part = part[1:-1].strip()
    if part.startswith("(") and part.count("(") == part.count(")"):
        part = re.sub(r"^\(([^()]+)\)", r"\1", part)
    return re.sub(r"^\(?([\w.]+) as (\w+)\)?", r"\1.as(\2)", part)


def walk(
    structures: Structures, part: str, kind: str
) -> tuple[list[str], list[str], set[str]] | None:
    """(plain paths, filtered paths, narrowed targets) of one alternative; None if it is not that plain."""
    root, _, rest = part.partition(".")
    place: Place | None = Place("", root, [root])
    narrowed: set[str] = set()
    condition, at = "", 0
    while at < len(rest):
        step = STEP.match(rest, at)
        if step is None or place is None:
            return None
        at = step.end()
        if step["is"]:
            narrowed.add(step["is"])
        elif step["key"]:
            condition = f"[{step['key']}={step['value']}]"
            place = Place(place.json_path + condition, place.element, place.codes)
        elif step["as"] or step["of"]:
            place = place.cast(step["as"] or step["of"])
        else:
            place = place.down(structures, step["name"])
    if place is None:
        return None
    paths = place.spellings(kind)
    return ([], paths, narrowed) if condition else (paths, [], narrowed)


def parameter_line(structures: Structures, parameter: Json, base: str) -> str:
    """One row of the table: name, kind, paths, targets, filtered paths."""
    kind = parameter["type"]
    paths: list[str] = []
    filtered: list[str] = []
    narrowed: set[str] = set()
    expression = parameter.get("expression", "") if parameter["code"] not in PATHLESS else ""
    expression = "" if kind == "composite" else expression
    # A `|` inside brackets belongs to one alternative, `cleaned` then fails to walk it: no path.
    for part in map(cleaned, expression.split("|")):
        if part.partition(".")[0] != base:
            continue
        found = walk(structures, part, kind)
        if found is None:
            paths, filtered = [], []
            break
        paths += found[0]
        filtered += found[1]
        narrowed |= found[2]
    targets = narrowed or set(parameter.get("target", []))
    columns = [
        parameter["code"],
        kind,
        listed(paths),
        spelled(targets, structures),
        listed(filtered),
    ]
    while columns[-1] == "-":
        columns.pop()
    return " " + " ".join(columns)


def listed(values: list[str]) -> str:
    """Join unique values in order, or `-`."""
    return ",".join(dict.fromkeys(values)) or "-"


def spelled(targets: set[str], structures: Structures) -> str:
    """Target types, `*` for all of them."""
    # R4 spells "any type" as a list that lacks a few types.
    if "Resource" in targets or len(targets & structures.resources) > len(structures.resources) - 5:
        return "*"
    return ",".join(sorted(targets & structures.resources)) or "-"


def wanted(parameter: Json) -> bool:
    """Whether a parameter is normative content and not an example."""
    return bool(parameter.get("base")) and "example" not in parameter["id"] and "code" in parameter


def search_table(structures: Structures, package: Path) -> str:
    """Give the text of the search parameter table; `Resource` and `DomainResource` are rows of their own."""
    rows: dict[str, dict[str, str]] = {}
    for parameter in filter(wanted, read(package, "SearchParameter")):
        for base in parameter["base"]:
            if base in structures.resources | {"Resource", "DomainResource"}:
                row = parameter_line(structures, parameter, base)
                mine = rows.setdefault(base, {})
                # The core parameter wins over an extension's of the same name.
                if parameter["code"] not in mine or len(row) > len(mine[parameter["code"]]):
                    mine[parameter["code"]] = row
    lines = []
    for base in sorted(structures.resources | {"Resource", "DomainResource"}):
        lines += [base, *(row for _, row in sorted(rows.get(base, {}).items()))]
    return "\n".join(lines)


def reference_rows(
    structures: Structures, home: str, prefix: str, seen: tuple[str, ...]
) -> Iterator[str]:
    """Rows of all Reference elements below a home, and of its recursions."""
    for path in structures.children.get(home, []):
        name = path.rpartition(".")[2]
        content = structures.elements[path].get("contentReference")
        if content:
            same = content.rpartition("#")[2].partition(".")[2]
            yield f" {prefix}{name} ={same}"
            continue
        for code in structures.types(path):
            spelled_name = choice(name, code) if name.endswith("[x]") else name
            here = prefix + spelled_name
            if code == "Reference":
                yield f" {here} {spelled(structures.targets(path, code), structures)}"
            elif code == "CodeableReference":
                yield f" {here}.reference {spelled(structures.targets(path, code), structures)}"
            elif path in structures.children:
                yield from reference_rows(structures, path, here + ".", seen)
            elif code not in OPEN_TYPES and code not in seen:
                yield from reference_rows(structures, code, here + ".", (*seen, code))


def reference_table(structures: Structures) -> str:
    """Give the text of the reference table."""
    lines = []
    for base in sorted(structures.resources):
        rows = list(reference_rows(structures, base, "", ()))
        if rows:
            lines += [base, *dict.fromkeys(rows)]
    return "\n".join(lines)


OWNERS = ("Device", "Encounter", "Patient", "Practitioner", "RelatedPerson")


def compartment_table(package: Path) -> str:
    """Give the text of the compartments: the type that each is of, then its members with their parameters."""
    return "\n".join(line for owner in OWNERS for line in (owner, *member_rows(package, owner)))


def member_rows(package: Path, owner: str) -> Iterator[str]:
    """Rows of one compartment; that its own resource is in it (`{def}`) is no parameter, and holds for all of them."""
    name = f"CompartmentDefinition-{owner[0].lower()}{owner[1:]}.json"
    definition = json.loads((package / name).read_text(encoding="utf-8"))
    for member in sorted(definition["resource"], key=lambda r: str(r["code"])):
        params = [p for p in member.get("param", []) if p != "{def}"]
        if params:
            yield f" {member['code']} {','.join(params)}"


def summary_table(structures: Structures) -> str:
    """Give the text of the summary table: type, then its top-level summary elements, `!` after mandatory ones."""
    lines = []
    for base in sorted(structures.resources):
        names = []
        for path in structures.children.get(base, []):
            element, name = structures.elements[path], path.rpartition(".")[2]
            mark = "!" if element.get("min", 0) else ""
            if mark or element.get("isSummary"):
                codes = structures.types(path) if name.endswith("[x]") else []
                names += [choice(name, c) + mark for c in codes] or [name + mark]
        lines.append(" ".join([base, *names]))
    return "\n".join(lines)


def wrapped(words: list[str], width: int = 110) -> str:
    """Words in lines."""
    lines = [""]
    for word in words:
        if len(lines[-1]) + len(word) > width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return "\n".join(lines)


MODULE = '''"""FHIR {title} ({version}) definition tables: types, search parameters, references, compartments.

Generated by `docs/generate_definitions.py` from the HL7 definition package (CC0). Do not edit.
The notation of the texts is read by `proxy.fhir.definitions.model`.
"""

from proxy.fhir.definitions import model

FHIR_VERSION = "{version}"

RESOURCE_TYPES = model.types_of(
    """\\
{types}
"""
)

SEARCH_PARAMS = model.search_params_of(
    """\\
{search}
""",
    RESOURCE_TYPES,
)

_REFERENCES = """\\
{references}
"""

REFERENCES = model.references_of(_REFERENCES, RESOURCE_TYPES)

RECURSIONS = model.recursions_of(_REFERENCES)

COMPARTMENTS = model.compartments_of(
    """\\
{compartment}
"""
)

SUMMARY, MANDATORY = model.summary_of(
    """\\
{summary}
"""
)

DEFINITIONS = model.Definitions(
    fhir_version=FHIR_VERSION,
    resource_types=RESOURCE_TYPES,
    search_params=SEARCH_PARAMS,
    references=REFERENCES,
    recursions=RECURSIONS,
    compartments=COMPARTMENTS,
    summary=SUMMARY,
    mandatory=MANDATORY,
)
'''


def write(package: Path, module: str, version: str, title: str) -> None:
    """Write the module of one FHIR version."""
    structures = Structures(package)
    text = MODULE.format(
        title=title,
        version=version,
        types=wrapped(sorted(structures.resources)),
        search=search_table(structures, package),
        references=reference_table(structures),
        compartment=compartment_table(package),
        summary=summary_table(structures),
    )
    (TARGET / f"{module}.py").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    for (module, version, title), argument in zip(VERSIONS, sys.argv[1:], strict=True):
        write(Path(argument), module, version, title)
