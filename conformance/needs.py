"""What checks need of a feed's contract: where it is given, they hold, whatever the provider is called."""

from __future__ import annotations

from collections.abc import Callable

from im_callback.provider_mock.contract import Feed
from im_callback.schemas import EventType

Need = Callable[[Feed], bool]


def signs(feed: Feed) -> bool:
    """Return whether requests are signed at all."""
    return bool(feed.covers)


def signs_body(feed: Feed) -> bool:
    """Return whether the signature covers the bytes of the body."""
    return feed.signs_body


def headers(feed: Feed) -> bool:
    """Return whether the signature travels in headers."""
    return any(one.role == "signature" and one.place == "header" for one in feed.parameters)


def signed_headers(feed: Feed) -> bool:
    """Return whether the signature travels in headers, and covers the body."""
    return feed.signs_body and headers(feed)


def covers(part: str) -> Need:
    """Return the need of a signature that covers this part of a request."""
    return lambda feed: part in feed.covers


def role(name: str) -> Need:
    """Return the need of a signature parameter with this role."""
    return lambda feed: bool(feed.covers) and feed.has(name)


def names_application(feed: Feed) -> bool:
    """Return whether requests say for which application they are, signed or not."""
    return feed.has("key")


def signed_digest(feed: Feed) -> bool:
    """Return whether a digest of the body travels beside the signature."""
    return feed.signs_body and feed.has("digest")


def batches(feed: Feed) -> bool:
    """Return whether a request carries an array of events."""
    return feed.batches


def sends_json(feed: Feed) -> bool:
    """Return whether a body is JSON."""
    return feed.encoding != "form"


def sends_forms(feed: Feed) -> bool:
    """Return whether a body is a form."""
    return feed.encoding == "form"


def probes(feed: Feed) -> bool:
    """Return whether the provider's console tries an address before it saves it."""
    return type(feed).probe is not Feed.probe


def names_unknown(feed: Feed) -> bool:
    """Return whether an event type can be named that does not exist."""
    return bool(feed.unknown_type)


def repeats_type(feed: Feed) -> bool:
    """Return whether requests say beside the body which event type they carry."""
    return any(one.role == "code" for one in feed.context)


def has_context(feed: Feed) -> bool:
    """Return whether requests say more about where they come from, in documented values."""
    return any(one.role == "context" for one in feed.context)


def wire(name: str) -> Need:
    """Return the need of a way to write requests."""
    return lambda feed: name in feed.wires


def acks_only_200(feed: Feed) -> bool:
    """Return whether no status but 200 is an acknowledgement."""
    return feed.acks == {200}


def acks_errors(feed: Feed) -> bool:
    """Return whether an error's status is an acknowledgement too."""
    return any(status >= 500 for status in feed.acks)


def decides(feed: Feed) -> bool:
    """Return whether the answer decides what becomes of the event."""
    return feed.decides


def decides_and_signs(feed: Feed) -> bool:
    """Return whether the answer decides, and questions are signed."""
    return feed.decides and signs(feed)


def tells(feed: Feed) -> bool:
    """Return whether the feed tells of what has happened, whatever is answered."""
    return not feed.decides


def describes_answers(feed: Feed) -> bool:
    """Return whether acknowledging answers have a documented form, and decide nothing."""
    return not feed.decides and any(feed.provider.catalogue.answer(one.name) for one in feed.event_types)


def some_type(fits: Callable[[EventType], object]) -> Need:
    """Return the need of an event type that has samples and fits."""
    return lambda feed: any(one.examples and fits(one) for one in feed.event_types)


def states(feed: Feed) -> bool:
    """Return whether the feed tells of states, of which the latest counts."""
    return any(one.order and one.order.rule == "latest" for one in feed.event_types)


def batched_states(feed: Feed) -> bool:
    """Return whether it tells of states, several in a request."""
    return feed.batches and states(feed)


def removals(feed: Feed) -> bool:
    """Return whether the feed tells of the end of states."""
    return any(one.order and one.order.removals for one in feed.event_types)


def lists(feed: Feed) -> bool:
    """Return whether the feed tells of what is listed in an order."""
    return any(one.order and one.order.rule == "sequence" for one in feed.event_types)


def second_numbers(feed: Feed) -> bool:
    """Return whether a list is ordered by a second number, where the first is the same."""
    return any(one.order and one.order.rule == "sequence" and len(one.order.by) > 1 for one in feed.event_types)


def unordered(feed: Feed) -> bool:
    """Return whether the feed tells of anything that has no order."""
    return any(one.examples and one.order is None for one in feed.event_types)
