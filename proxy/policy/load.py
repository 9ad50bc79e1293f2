"""Reads a directory of policies: the only module here that touches the disk (PAP).

    policies/<pack>/terms.yaml    names for codes
                    labels.yaml   labelling rules and known labels
                    *.yaml        the policies
                    *.csv         matrices that they name
                    tests/*.yaml  what they must answer
    policies/<pack>/<variant>/    a directory without terms.yaml below a pack: the pack's files hold there too, beside its own

Everything is read before anything is believed: one finding anywhere, and nothing of the directory is used.
"""

import hashlib
from pathlib import Path
from typing import TypeVar

import orjson

from proxy.errors import Finding, UnusableError
from proxy.policy.cases import Case, CaseFile, cases_of, wrong_case_names
from proxy.policy.crossref import findings_of
from proxy.policy.labels import LabelFile, labels_from
from proxy.policy.matrix import matrix_of
from proxy.policy.model import Matrix, Policy, PolicySet
from proxy.policy.parse import Source, parse
from proxy.policy.placed import Files, placed_rules
from proxy.policy.terms import Terms, Written

TERMS = "terms.yaml"
LABELS = "labels.yaml"
TESTS = "tests"

Content = TypeVar("Content", bound=Written)


def load(directory: Path) -> PolicySet:
    """Read all policies of a directory; raise `UnusableError` with every finding as `file:line: message`."""
    pack, places = pack_of(directory), places_of(directory)
    findings = [finding for place in places for finding in _overlooked(place, pack)]
    policies = [_read(path, Policy, findings) for place in places for path in _policy_files(place)]
    terms = _read(pack / TERMS, Terms, findings)
    labels = _read(pack / LABELS, LabelFile, findings)
    if not _policy_files(directory):
        findings.append(Finding(str(directory), 1, "the directory holds no policy file"))
    if findings or terms is None or labels is None:
        raise UnusableError(*findings)
    files = Files(tuple(filter(None, policies)), terms, labels)
    findings.extend(findings_of(files))
    matrix = _matrix(files, findings)
    if findings:
        raise UnusableError(*sorted(findings, key=lambda finding: (finding.file, finding.line)))
    return _merged(files, matrix)


def load_cases(directory: Path, policies: PolicySet) -> tuple[Case, ...]:
    """Read the test cases of a directory of policies; raise `UnusableError` with every finding."""
    findings: list[Finding] = []
    cases: list[Case] = []
    tests = [path for place in places_of(directory) for path in (place / TESTS).glob("*.yaml")]
    for path in sorted(tests):
        source = _read(path, CaseFile, findings)
        if source is None:
            continue
        findings.extend(wrong_case_names(source, policies.terms))
        try:
            cases.extend(cases_of(source))
        except UnusableError as error:
            findings.extend(error.findings)
    if findings:
        raise UnusableError(*findings)
    return tuple(cases)


def fingerprint(directory: Path) -> str:
    """Give the SHA-256 of all that `load` and `load_cases` would read, bytes and names; never raises.

    What cannot be read counts as such, so that it differs from what can: a directory that is gone differs from any other.
    """
    digest = hashlib.sha256()
    for place in places_of(directory):
        files = [path for path in sorted(place.glob("*")) if path.suffix.lower() in _READ]
        for path in (*files, *sorted((place / TESTS).glob("*.yaml"))):
            try:
                content = path.read_bytes()
            except OSError as error:
                content = f"unreadable: {error.errno}".encode()
            for part in (str(path).encode("utf-8", "surrogateescape"), content):
                digest.update(len(part).to_bytes(8) + part)
    return digest.hexdigest()


def pack_of(directory: Path) -> Path:
    """Give the pack whose terms and labels hold in a directory: the one above, where it is a variant of that."""
    is_variant = not (directory / TERMS).exists() and (directory.parent / TERMS).exists()
    return directory.parent if is_variant else directory


def places_of(directory: Path) -> tuple[Path, ...]:
    """Give the directories whose policies hold together: the directory, and its pack where it is a variant."""
    return tuple(dict.fromkeys((pack_of(directory), directory)))


def _overlooked(directory: Path, pack: Path) -> list[Finding]:
    """Find files that look like policies but are not read: a deny that nobody reads would disclose."""
    lookalikes = [
        Finding(str(path), 1, "the file would not be read; policy files end in .yaml")
        for path in sorted(directory.glob("*"))
        if path.suffix.lower() in _LOOKALIKES and path.suffix != ".yaml"
    ]
    labels = directory / LABELS
    if directory != pack and labels.exists():
        message = f"the file would not be read; {pack.name}/{LABELS} holds here too"
        lookalikes.append(Finding(str(labels), 1, message))
    return lookalikes


_LOOKALIKES = frozenset({".yaml", ".yml", ".json"})
_READ = _LOOKALIKES | {".csv"}


def _policy_files(directory: Path) -> list[Path]:
    return [path for path in sorted(directory.glob("*.yaml")) if path.name not in (TERMS, LABELS)]


def _read(path: Path, model: type[Content], findings: list[Finding]) -> Source[Content] | None:
    """Read one file; None, and findings, if it cannot be used."""
    try:
        return parse(str(path), _text(path), model)
    except UnusableError as error:
        findings.extend(error.findings)
        return None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="strict")
    except UnicodeDecodeError as error:
        raise UnusableError(Finding(str(path), 1, "the file is not UTF-8")) from error
    except OSError as error:
        why = (error.strerror or "it cannot be read").lower()
        raise UnusableError(Finding(str(path), 1, f"the file cannot be read: {why}")) from error


def _matrix(files: Files, findings: list[Finding]) -> Matrix | None:
    """Read the matrix that the policies name, if they name one; None, and findings, if it cannot be used."""
    for source in files.policies:
        name = source.content.matrix
        if not name:
            continue
        path = Path(source.file).parent / name
        if path.name != name or not path.is_file():
            findings.append(source.finding(("matrix",), f"`{name}` is no file beside this one"))
            return None
        try:
            return matrix_of(str(path), _text(path), files.terms.content)
        except UnusableError as error:
            findings.extend(error.findings)
            return None
    return None


def _merged(files: Files, matrix: Matrix | None) -> PolicySet:
    policies = tuple(
        sorted((source.content for source in files.policies), key=lambda policy: policy.policy)
    )
    purposes = {
        str(kind): str(code) for policy in policies for kind, code in policy.default_purpose.items()
    }
    placed = sorted(placed_rules(files.policies), key=lambda one: one.rule.id)
    return PolicySet(
        policies=policies,
        rules=tuple(one.rule for one in placed),
        sources={one.rule.id: one.basis for one in placed},
        universal=frozenset(name for policy in policies for name in policy.universal),
        unlabelled=next((policy.unlabelled for policy in policies if policy.unlabelled), "deny"),
        refusal=next((policy.refusal for policy in policies if policy.refusal), "hide"),
        references=next((policy.references for policy in policies if policy.references), "prune"),
        combine=next((policy.combine for policy in policies if policy.combine), "deny-wins"),
        care_team_from=_care_team_from(policies),
        care_team_grace_days=max((one.care_team_grace_days or 0 for one in policies), default=0),
        default_purpose=purposes,
        terms=files.terms.content,
        labels=labels_from(files.labels.content, files.terms.content),
        matrix=matrix,
        digest=_digest(policies, files, matrix),
        break_glass=next((policy.break_glass for policy in policies if policy.break_glass), None),
        places={one.rule.id: one.place for one in placed},
        campaigns={one.rule.id: one.campaign for one in placed if one.campaign},
    )


def _care_team_from(policies: tuple[Policy, ...]) -> frozenset[str]:
    stated = (policy.care_team_from for policy in policies if policy.care_team_from)
    return frozenset(next(stated, ("CareTeam",)))


def _digest(policies: tuple[Policy, ...], files: Files, matrix: Matrix | None) -> str:
    """Give the SHA-256 of what the files say, whatever their layout and comments."""
    cells = (
        sorted((role, *coding, may) for (role, coding), may in matrix.cells.items())
        if matrix
        else []
    )
    content = {
        "policies": [policy.model_dump(mode="json") for policy in policies],
        "terms": files.terms.content.model_dump(mode="json"),
        "labels": files.labels.content.model_dump(mode="json"),
        "matrix": cells,
    }
    return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()
