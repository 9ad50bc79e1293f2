"""A small policy directory to break: `Pack` writes it, with any file replaced."""

from pathlib import Path

TERMS = """\
systems:
  conf: {system: http://terminology.hl7.org/CodeSystem/v3-Confidentiality, also: ["urn:oid:2.16.840.1.113883.5.25"]}
  fr: {system: "urn:fr", case_sensitive: false, spellings: {MASQUE: MASQUE_PS}}
  sct: {system: http://snomed.info/sct}
  icd: {system: http://hl7.org/fhir/sid/icd-10}
roles:
  physician: [sct#309343006]
  nurse: [sct#224535009]
organization_types:
  insurer: [sct#1]
"""

LABELS = """\
known:
  systems: [fr]
  codes: [conf#N, conf#R]
rules:
  - id: hiv
    source: test
    codes: {icd: ["B20", "B21*"]}
    add: [conf#R]
"""

POLICY = """\
policy: ward
version: "1"
source: house rule
rules:
  - id: team
    effect: permit
    target:
      principal: {relationship: [care-team], role: [physician]}
      consent: [permit]
  - id: masked
    effect: deny
    tag: mask
    target: {resource: {label: ["fr#MASQUE_PS"]}}
"""

CASES = """\
description: one of each
principals:
  doctor: {kind: practitioner, role: [physician], relationship: [care-team]}
  stranger: {kind: practitioner}
resources:
  plain: {type: Observation}
  masked: {type: Observation, label: ["fr#MASQUE_PS"]}
consents: [permit, none]
expect:
  - {principal: [doctor], resource: [plain], consent: [permit]}
"""


CAMPAIGN = """\
campaigns:
  - id: winter
    description: vaccination of winter
    source: order 12
    from: "2026-10-15"
    until: "2027-01-31"
    rules:
      - id: nurses-vaccinate
        effect: permit
        target:
          principal: {kind: [practitioner], role: [nurse]}
          resource: {type: [Immunization]}
          consent: [permit, none]
"""
"""Goes at the end of a policy."""

CAMPAIGN_CASES = """\
description: nurses read vaccinations while the campaign lasts
principals:
  nurse: {kind: practitioner, role: [nurse]}
resources:
  vaccination: {type: Immunization}
consents: [permit, none, deny]
at: ["2026-10-14", "2026-10-15", "2027-01-31", "2027-02-01"]
expect:
  - {principal: [nurse], resource: [vaccination], consent: [permit, none], at: ["2026-10-15", "2027-01-31"]}
"""


def write(directory: Path, **files: str) -> Path:
    """Write a good directory; `policy`, `terms`, `labels`, `cases`, `matrix` replace a file, `other` adds a policy."""
    texts = {"terms": TERMS, "labels": LABELS, "policy": POLICY, "cases": CASES} | files
    (directory / "tests").mkdir(parents=True, exist_ok=True)
    names = {"cases": "tests/cases.yaml", "matrix": "matrix.csv"}
    for name, text in texts.items():
        (directory / names.get(name, f"{name}.yaml")).write_text(text, encoding="utf-8")
    return directory
