"""Delivery of notices: to patients as Communications, to the privacy officer by webhook; at least once (CSP R1111-46).

Laws: those of `deliver`. Notices are as durable as the journal entries they stand in; messages are made of them in the
background, ids are derived, repeating is harmless, and what a receiver will never take is kept and flagged.
"""

import asyncio
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256

from proxy.audit.deliver import Carrier, Fate, Pace, Send, fate_of, rest
from proxy.audit.notice import Message
from proxy.audit.notice_book import Postbox
from proxy.errors import OwnError


@dataclass(frozen=True, slots=True)
class Channel:
    """Where the messages of one postbox go, and in which form. `nameless`: as in `Carrier`."""

    postbox: Postbox
    form: Callable[[Message], bytes]
    send: Send
    nameless: bool


async def notify(
    channel: Channel, clock: Callable[[], float], stop: asyncio.Event, pace: Pace
) -> None:
    """Make messages of the notices and deliver them until `stop` is set, what is due longest first."""
    carrier = Carrier(channel.send, stop, pace, channel.nameless)
    failures = 0
    while not stop.is_set():
        try:
            found = await _round(channel, carrier, clock)
        except OwnError:  # the journal's own trouble: readiness tells it, delivery waits
            failures += 1
            await rest(stop, pace.delay(failures))
            continue
        failures = 0
        if not found:
            await rest(stop, pace.idle_s)


async def _round(channel: Channel, carrier: Carrier, clock: Callable[[], float]) -> bool:
    """Collects and delivers one batch; whether there was any."""
    postbox = channel.postbox
    more = await asyncio.to_thread(postbox.collect)
    taken = await asyncio.to_thread(postbox.take, clock(), carrier.pace.batch)
    carried = 0
    try:
        for message in taken:
            status = await carrier.settled(message.id, channel.form(message))
            if status is None:
                break
            trouble = f"it was answered with {status}" if fate_of(status) is Fate.STUCK else ""
            await asyncio.to_thread(postbox.mark, message, trouble)
            carried += 1
    finally:
        if carried < len(taken):
            await asyncio.to_thread(postbox.give_back, taken[carried:])
    return more or bool(taken)


def signature_of(body: bytes, secret: bytes) -> str:
    """The value of `x-gateway-signature`: `sha256=` and the HMAC of the body in hex (RFC 2104)."""
    return "sha256=" + hmac.new(secret, body, sha256).hexdigest()
