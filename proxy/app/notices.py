"""Starts the delivery of notices: patients' to a FHIR repository, the privacy officer's to a webhook."""

import asyncio
import random
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack
from functools import partial

import orjson

from proxy.app.delivery import NAME, in_background
from proxy.app.ground import Ground
from proxy.audit.agent import Observer
from proxy.audit.communication import Texts, communication_of, report_of
from proxy.audit.deliver import Fate, Pace
from proxy.audit.journal import SqliteJournal
from proxy.audit.notice import Folding, Message
from proxy.audit.notice_book import Postbox
from proxy.audit.notify import Channel, notify, signature_of
from proxy.errors import Finding, OwnError, UnusableError
from proxy.settings import secret_of
from proxy.wire.admin import Metrics

_SECRET_LENGTH = 32


def start_notices(
    ground: Ground,
    env: Mapping[str, str],
    journal: SqliteJournal,
    stack: AsyncExitStack,
    metrics: Metrics,
) -> None:
    """Starts a delivery in the background for each kind of recipient that has an address; before anything is answered."""
    channels = list(_channels(ground, env, journal))
    stop = asyncio.Event()

    def tell(fate: Fate) -> None:
        metrics.notice_deliveries.labels(fate.value).inc()

    try:
        for channel in channels:
            channel.postbox.open()
    except OwnError as error:
        raise UnusableError(Finding("gateway.yaml", 1, f"`notices`: {error.detail}")) from None
    metrics.notices_stuck.set_function(
        lambda: sum(len(channel.postbox.stuck()) for channel in channels)
    )
    pace = Pace(jitter=random.random, tell=tell)
    for channel in channels:
        in_background(notify(channel, ground.clock, stop, pace), stop, stack)


def _channels(ground: Ground, env: Mapping[str, str], journal: SqliteJournal) -> Iterator[Channel]:
    notices = ground.settings.notices
    observer = Observer(ground.public_url, NAME)
    if notices.repository != "none":
        texts: Texts = {
            "access": notices.texts.access,
            "emergency": notices.texts.emergency,
            "digest": notices.texts.digest,
        }
        version = ground.definitions.fhir_version

        def written(message: Message) -> bytes:
            return orjson.dumps(communication_of(message, observer, texts, version))

        send = ground.wires.resource_sender(notices.repository.url.rstrip("/"), "Communication")
        postbox = _postbox(ground, journal, "patient", notices.patient)
        yield Channel(postbox, written, send, nameless=True)
    if notices.webhook != "none":
        secret = secret_of(notices.webhook.secret, env, "notices.webhook.secret").encode()
        if len(secret) < _SECRET_LENGTH:
            message = f"`notices.webhook.secret` needs at least {_SECRET_LENGTH} characters"
            raise UnusableError(Finding("gateway.yaml", 1, message))
        sign = partial(signature_of, secret=secret)
        post = ground.wires.webhook_sender(notices.webhook.url, sign)
        postbox = _postbox(ground, journal, "privacy-officer", "each")
        yield Channel(postbox, partial(report_of, observer=observer), post, nameless=False)


def _postbox(ground: Ground, journal: SqliteJournal, recipient: str, folding: Folding) -> Postbox:
    return Postbox(journal.file.path, recipient, folding, ground.settings.zone)
