"""Measures how long a payload takes: to be validated, to be named, and to be made up.

Run it from the repository's root: `python -m benchmarks.generation`. Everything that is compared is
measured in turn in one run, several times, in processor time; what is printed is the median in microseconds, how
many times as fast as the first line of its table that is, and the range. It needs `jsonschema-rs` and Faker.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from itertools import cycle, islice
from random import Random
from typing import Any

from faker import Faker
from im_callback.provider_mock import providers
from im_callback.provider_mock.contract import Event, Provider
from im_callback.provider_mock.traffic.generate import LOCALES, Generator
from im_callback.provider_mock.traffic.words import words
from im_callback.provider_mock.traffic.world import STORIES, tell
from im_callback.provider_mock.wire import Wire, encode
from im_callback.schemas import Catalogue, EventType
from im_callback.schemas.validate import problems, validator
from jsonschema import Draft202012Validator as Plain
from jsonschema_rs import Draft202012Validator as Rust

NOW = 1_767_225_600_000
AS_DOCUMENTED = Wire()
#: Fifteen fields as a message has them, by Faker's names.
FIELDS = (
    "name", "sentence", "ipv4_public", "file_name", "address", "word", "sentence", "name", "word", "file_extension",
    "sentence", "name", "word", "address", "ipv4_public",
)  # fmt: skip
Call = Callable[[], object]


def micros(call: Call, count: int) -> float:
    """Return the processor time that a call takes on average, in microseconds."""
    started = time.process_time()
    for _ in range(count):
        call()
    return (time.process_time() - started) / count * 1e6


def compare(title: str, rows: dict[str, tuple[Call, int]], rounds: int) -> None:
    """Measure each in turn, several times; print medians and ratios. The number is that of calls in a round."""
    found: dict[str, list[float]] = {name: [] for name in rows}
    for call, _ in rows.values():
        # What is built or filled once does not count.
        for _ in range(100):
            call()
    for _ in range(rounds):
        for name, (call, count) in rows.items():
            found[name].append(micros(call, count))
    print(f"\n{title}")
    first = statistics.median(next(iter(found.values())))
    for name, values in found.items():
        median = statistics.median(values)
        ratio = f"x {first / median:,.1f}"
        print(f"  {name:<62} {median:>8.1f} µs  {ratio:>9}   ({min(values):.1f} to {max(values):.1f})")


def told(provider: Provider, count: int) -> list[Event]:
    """Return the first events of a story."""
    return list(islice((event for delivery in tell(provider, Random(1), NOW) for event in delivery), count))


def validating(title: str, event_type: EventType, payload: Any, rounds: int) -> None:
    """Print what one payload costs by several ways to validate it."""
    schema = {name: value for name, value in event_type.schema.items() if name != "$schema"}
    exact, plain, rust = validator(schema), Plain(schema), Rust(schema)
    rows: dict[str, tuple[Call, int]] = {
        "jsonschema, prebuilt (embedded JSON ignored)": (lambda: plain.is_valid(payload), 300),
        "jsonschema, prebuilt, embedded JSON validated: the exact one": (lambda: problems(exact, payload), 300),
        "jsonschema-rs, prebuilt (embedded JSON ignored)": (lambda: rust.is_valid(payload), 10_000),
        "EventType.valid": (lambda: event_type.valid(payload), 10_000),
        "EventType.problems": (lambda: event_type.problems(payload), 10_000),
    }
    compare(title, rows, rounds)


def naming(catalogue: Catalogue, payloads: list[Any], rounds: int) -> None:
    """Print what it costs to find out what payloads are."""
    checkers = [validator(one.schema["x-detect"]) for one in catalogue]
    plain, quick = cycle(payloads), cycle(payloads)

    def one_by_one() -> object:
        payload = next(plain)
        return next((checker for checker in checkers if checker.is_valid(payload)), None)

    rows: dict[str, tuple[Call, int]] = {
        "jsonschema, prebuilt, one event type after the other": (one_by_one, 500),
        "Catalogue.identify": (lambda: catalogue.identify(next(quick)), 5000),
    }
    compare("Naming a payload of CommsEase", rows, rounds)


def making(rounds: int) -> None:
    """Print what made-up values and payloads cost."""
    faker = Faker(list(LOCALES))
    faker.seed_instance(1)
    pools, generator = words(1, LOCALES), Generator(1, NOW)
    types = [one for name in STORIES for one in providers.load(name).catalogue if one.status == "documented"]
    login = next(one for one in types if one.name == "commsease.login")
    each = cycle(types)
    rows: dict[str, tuple[Call, int]] = {
        "Faker, 15 fields": (lambda: [getattr(faker, name)() for name in FIELDS], 200),
        "our pools of Faker's words, 15 fields": (lambda: [pools.fake(name) for name in FIELDS], 10_000),
        "Generator.event, commsease.login, validated": (lambda: generator.event(login), 1000),
        "Generator.event, every event type in turn, validated": (lambda: generator.event(next(each)), 40 * len(types)),
    }
    compare("Making up", rows, rounds)


def telling(rounds: int, count: int) -> None:
    """Print what an event of a story costs on its way: told, validated and written as JSON."""

    def sent(provider: Provider) -> Call:
        events: Iterator[Event] = (event for delivery in tell(provider, Random(1), NOW) for event in delivery)
        return lambda: encode(next(events).payload, AS_DOCUMENTED)

    loaded = [providers.load(name) for name in STORIES]
    rows = {f"{one.title}: told, validated, encoded": (sent(one), count) for one in loaded}
    compare("An event of a story (1,000,000 divided by this is the number a second in one process)", rows, rounds)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="how often each is measured")
    parser.add_argument("--events", type=int, default=3000, help="events of a story in a round")
    options = parser.parse_args()
    catalogue = providers.load("commsease").catalogue
    events = told(providers.load("commsease"), 500)

    def first(name: str) -> Any:
        return next(event.payload for event in events if event.type == name)

    message, receipt = catalogue["commsease.conversation"], catalogue["commsease.read-receipt"]
    title = f"Validating a message of {len(first(message.name))} fields"
    validating(title, message, first(message.name), options.rounds)
    validating("Validating a read receipt, JSON inside a string", receipt, first(receipt.name), options.rounds)
    naming(catalogue, [event.payload for event in events], options.rounds)
    making(options.rounds)
    telling(options.rounds, options.events)


if __name__ == "__main__":
    main()
