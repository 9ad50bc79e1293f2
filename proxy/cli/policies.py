"""`check` and `schema`: policies examined before they are in force (PAP)."""

import json
from collections.abc import Iterator
from datetime import UTC
from math import inf
from pathlib import Path

from proxy.app.proving import proven
from proxy.decision.case import compile_policies
from proxy.decision.reach import findings_of
from proxy.errors import UnusableError
from proxy.policy.model import PolicySet
from proxy.policy.schemas import printed
from proxy.settings import Settings


def examined(directory: Path, now: float = -inf) -> str:
    """Load a directory of policies, run its test cases, prove that every rule matters; what was examined, or `UnusableError`.

    Campaigns that are over at `now` are noted and no finding: what was good must not turn bad at midnight.
    """
    found = proven(directory)
    idle = findings_of(compile_policies(found.policies))
    if idle:
        raise UnusableError(*idle)
    counted = f"{len(found.policies.rules)} rules, {found.cases} test cases, all as expected"
    return "\n".join([*_over(found.policies, now), f"{directory}: {counted}"])


def _over(policies: PolicySet, now: float) -> Iterator[str]:
    """A note for each campaign whose rules will never be in force again."""
    for rule, campaign in sorted(policies.campaigns.items()):
        if campaign.is_over(now, UTC):
            file, line = policies.places[rule]
            yield f"{file}:{line}: note: campaign `{campaign.id}` ended with {campaign.until}; take `{rule}` out"


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
