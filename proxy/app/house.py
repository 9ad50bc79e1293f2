"""Builds the House: everything the flow is given, from its ground."""

import hashlib
import secrets
import uuid
from dataclasses import replace

from proxy.app.callers import identifier_of, oauth_endpoints_of, smart_configuration_of
from proxy.app.exporting import exporting_of
from proxy.app.ground import Ground
from proxy.app.upstream import (
    Capability,
    facts_of,
    gatherer_of,
    searched_for,
    tie_breaker_of,
)
from proxy.decision.case import CaseBook, CompiledPolicies
from proxy.enforcement.house import GrantSource, House, InForce, Journal, NoGrants, Paging
from proxy.facts.cache import FactCache
from proxy.facts.decoys import NO_DECOYS, Decoys, DecoySource
from proxy.facts.documents import DocumentCache, Documents, HoldingCache
from proxy.facts.gather import Gatherer
from proxy.facts.targets import TargetCache, Targets
from proxy.fhir.reader import EnvelopeReader
from proxy.obligations.cursor import key_of
from proxy.obligations.redact import PseudonymKey
from proxy.obligations.seal import NONCE_BYTES
from proxy.settings import Settings

NO_GRANTS = NoGrants()


_MOST_DOCUMENTS = 10_000
_MOST_HELD = 2_000
_MOST_TARGETS = 5_000


async def house_of(ground: Ground, journal: Journal, grants: GrantSource = NO_GRANTS) -> House:
    """Everything the flow is given."""
    settings, wires, definitions = ground.settings, ground.wires, ground.definitions
    in_force = in_force_of(ground)
    facts = await _proven_facts(ground)
    return House(
        upstream=wires.rereading,
        identify=identifier_of(settings, ground.env, ground.bases, ground.clock, wires.outside),
        facts=facts,
        journal=journal,
        in_force=lambda: in_force,
        cases=CaseBook(),
        capability=Capability(
            wires.data,
            ground.public_url,
            definitions.fhir_version,
            ground.clock,
            oauth_endpoints_of(settings),
        ),
        smart_configuration=smart_configuration_of(settings),
        definitions=definitions,
        public_url=ground.public_url,
        base_path=settings.listen.base_path,
        upstream_url=wires.base_url,
        forwards_token=settings.upstream.auth.type == "forward",
        zone=settings.zone,
        paging=paging_of(settings),
        cursor_key=key_of(ground.secret),
        pseudonym_key=PseudonymKey(hashlib.sha256(b"pseudonym" + ground.secret).digest()),
        clock=ground.clock,
        new_id=lambda: str(uuid.uuid4()),
        nonce=lambda: secrets.token_bytes(NONCE_BYTES),
        grants=grants,
        documents=documents_of(ground),
        exports=await exporting_of(ground),
        targets=targets_of(ground),
        tie_breaker=await tie_breaker_of(settings, wires),
        decoys=decoys_of(ground, facts),
        max_lookups=settings.facts.max_lookups_per_request,
    )


async def _proven_facts(ground: Ground) -> Gatherer:
    return await facts_of(
        ground.settings,
        ground.wires,
        ground.clock,
        ground.definitions,
        ground.bases,
        ground.compiled,
    )


def in_force_of(ground: Ground) -> InForce:
    """The policies with the reader that knows which codes they ask for."""
    compiled = ground.compiled
    types = ground.definitions.resource_types
    return InForce(compiled, EnvelopeReader(types, ground.bases, compiled.wanted))


async def house_under(ground: Ground, house: House, before: CompiledPolicies) -> House:
    """The same house under other policies, those of the ground: with facts, cases and reader of their own.

    Facts that were looked up for the policies `before` may lack what these ask for, so none is taken over. A kind of search
    that those did not need is proven first; `UpstreamError` where it cannot be, `UnusableError` where it is ignored.
    """
    facts = gatherer_of(
        ground.settings,
        ground.wires,
        ground.clock,
        ground.definitions,
        ground.bases,
        ground.compiled,
    )
    if not searched_for(ground.compiled) <= searched_for(before):
        await facts.sentinel(uuid.uuid4().hex)
    in_force = in_force_of(ground)
    decoys = decoys_of(ground, facts)
    return replace(house, facts=facts, in_force=lambda: in_force, cases=CaseBook(), decoys=decoys)


def documents_of(ground: Ground) -> Documents:
    """The source of the labels of documents."""
    facts = ground.settings.facts
    cache: DocumentCache = FactCache(facts.ttl_s, _MOST_DOCUMENTS, ground.clock)
    holding: HoldingCache = FactCache(facts.ttl_s, _MOST_HELD, ground.clock)
    most = facts.max_lookups_per_request
    return Documents(ground.wires.reader, cache, most, holding, ground.bases)


def targets_of(ground: Ground) -> Targets:
    """The source of the resources that references lead to."""
    cache: TargetCache = FactCache(ground.settings.facts.ttl_s, _MOST_TARGETS, ground.clock)
    return Targets(ground.wires.reader, cache)


def decoys_of(ground: Ground, facts: Gatherer) -> DecoySource:
    """What makes a refusal cost the same, whether something is hidden or absent."""
    if not ground.settings.facts.decoys:
        return NO_DECOYS
    return Decoys(ground.wires.reader, facts.searches)


def paging_of(settings: Settings) -> Paging:
    """How pages are made."""
    paging = settings.paging
    return Paging(
        paging.default_count,
        paging.max_count,
        paging.max_upstream_pages,
        paging.ttl_s,
        paging.max_consulted,
        paging.max_counted,
    )
