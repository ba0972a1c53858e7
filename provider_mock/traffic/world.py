"""Tells coherent stories: an endless stream of events in which everything comes after what it follows from.

A feed tells its own story; events of a feed without one are made up one by one. Packages add stories by entry
points in the group `im_callback.stories`, named `provider.feed`. Seed and start are passed in as a
`Random` and UTC milliseconds: the same ones give the same bytes. However long a story is, it remembers a fixed
cast and the last few messages, no more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from random import Random

from im_callback.provider_mock.contract import Event, Feed, Provider
from im_callback.provider_mock.plugins import Plugins
from im_callback.provider_mock.traffic.generate import Generator
from im_callback.provider_mock.traffic.stage import PACE, Delivery, Stage

Story = Callable[[Stage], Iterator[Delivery]]
GROUP = "im_callback.stories"
"""Entry points of packages that add stories."""


def _checked(found: object) -> Story:
    if not callable(found):
        raise TypeError("it is no function of a stage")
    return found


_added: Plugins[Story] = Plugins(GROUP, "story", _checked)


class InvalidEvent(Exception):
    """A story came to a payload that its schema does not allow: our error, to be reported."""

    def __init__(self, event: Event, problem: object) -> None:
        super().__init__(f"the story of {event.type} is not valid: {problem}")
        self.event = event


class NothingToTell(ValueError):
    """The feeds describe no event type, so there is nothing to send."""

    def __init__(self, provider: str) -> None:
        super().__init__(
            f"{provider} describes no event type, so there is no traffic of it; choose another provider or feed"
        )
        self.provider = provider


def tell(
    provider: Provider, random: Random, start_millis: int, pace: float = PACE, feeds: Sequence[Feed] = ()
) -> Iterator[Delivery]:
    """Yield what each delivery carries, without end, `pace` milliseconds apart on average.

    Of several feeds (none: those that arrive at one address) each goes on in turn, by chance. Every payload is valid
    by its schema; one that is not is our error, `InvalidEvent`. Raises `NothingToTell` if nothing is described.
    """
    chosen = feeds or provider.usual_feeds
    described = list(filter(_described, chosen))
    if not described:
        raise NothingToTell(provider.name)
    if len(described) == 1:
        yield from _told(described[0], random, start_millis, pace)
        return
    stories = [_told(feed, random, start_millis, pace) for feed in described]
    while True:
        yield next(random.choice(stories))


def _described(feed: Feed) -> bool:
    return any(one.status != "undocumented" for one in feed.event_types)


def _told(feed: Feed, random: Random, start_millis: int, pace: float) -> Iterator[Delivery]:
    stage = Stage(random, start_millis, pace)
    added = _added.load(feed.full_name) if feed.full_name in _added.usable() else None
    story = added(stage) if added is not None else feed.story(stage)
    if story is None:
        yield from _made_up(feed, random, start_millis)
        return
    catalogue = feed.provider.catalogue
    for delivery in story:
        for event in delivery:
            event_type = catalogue[event.type]
            if not event_type.valid(event.payload):
                raise InvalidEvent(event, event_type.problems(event.payload)[0])
        yield delivery


def _made_up(feed: Feed, random: Random, start_millis: int) -> Iterator[Delivery]:
    described = [one for one in feed.event_types if one.status != "undocumented"]
    generator = Generator(random.getrandbits(32), start_millis)
    while True:
        yield (generator.event(random.choice(described)),)
