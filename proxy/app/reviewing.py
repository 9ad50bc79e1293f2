"""What answers the reviewer API of the admin listener, where reviewers are named."""

from collections.abc import Mapping

from proxy.app.callers import supposer_of
from proxy.app.ground import Ground
from proxy.enforcement.consultation import LONGEST_QUESTION
from proxy.enforcement.flow import Enforcement
from proxy.enforcement.house import House
from proxy.enforcement.review import MOST_AT_ONCE, ROUTES, Review
from proxy.errors import Finding, UnusableError
from proxy.fhir.coding import Coding
from proxy.policy.terms import Terms
from proxy.settings import Reviewers
from proxy.wire.admin import Metrics, Route
from proxy.wire.server import Enforcer, PublicListener, Respond


def review_of(ground: Ground, house: House) -> Review | None:
    """What answers reviewers; None where none is named, `UnusableError` where the policies do not know their roles."""
    settings = ground.settings
    if settings.admin.reviewers is None:
        return None
    reviewers = reviewers_of(settings.admin.reviewers, ground.compiled.policies.terms)
    suppose = supposer_of(settings, ground.env, ground.bases, ground.clock)
    return Review(house, Enforcement(house), reviewers, suppose)


def routes_of(review: Enforcer | None, metrics: Metrics) -> Mapping[Route, Respond]:
    """What answers the reviewer API, by route; nothing where no reviewer is named."""
    if review is None:
        return {}
    respond = PublicListener(review, metrics, LONGEST_QUESTION, MOST_AT_ONCE).respond
    return dict.fromkeys(ROUTES, respond)


def reviewers_of(written: Reviewers, terms: Terms) -> frozenset[Coding]:
    """The roles of reviewers, in every spelling; `UnusableError` where an alias is unknown."""
    try:
        return frozenset().union(*(terms.codings(label) for label in written.roles))
    except KeyError as error:
        message = f"`admin.reviewers.roles`: terms.yaml has no code system {error}"
        raise UnusableError(Finding("gateway.yaml", 1, message)) from None
