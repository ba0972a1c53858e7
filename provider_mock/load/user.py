"""A Locust user that plays the provider: it signs and sends deliveries, and counts as success what the provider does.

Subclass `CallbackUser` in a locustfile of your own, or use the one beside this file as it is. The app secret comes
from the environment variable IM_APP_SECRET of each process and from nowhere else: Locust shows arguments in its web
page and sends them to its workers.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import count
from random import Random, SystemRandom
from typing import Any

import gevent
from im_callback.provider_mock import providers
from im_callback.provider_mock.contract import (
    BadCredentials,
    Event,
    Feed,
    Judgement,
    Outcome,
    Reply,
    Request,
    Stamp,
)
from im_callback.provider_mock.delivery.clock import utc_millis
from im_callback.provider_mock.load.exchange import Sender
from im_callback.provider_mock.traffic.world import tell
from locust import FastHttpUser, events, task
from locust.contrib.fasthttp import insecure_ssl_context_factory
from locust.env import Environment

SECRET = "IM_APP_SECRET"
PACE = 5.0
"""Milliseconds between two deliveries of a user's story: about as fast as a user can send."""
# One for all parsers of this process: Locust makes several, and the web page shows what the run then uses.
_SEED = SystemRandom().getrandbits(32)
_numbers = count(1)


class NotAcknowledged(Exception):
    """The receiver did not acknowledge a delivery. Locust lists it under the provider's rule."""

    def __init__(self, judgement: Judgement) -> None:
        super().__init__(judgement.rule)
        self.judgement = judgement

    def __repr__(self) -> str:
        # Locust groups failures by this text, and shows it.
        return self.judgement.rule


class CallbackUser(FastHttpUser):
    """Sends the deliveries of a story of its own, one after the other, to the address given as Locust's host.

    Requests are named after their event type. A time-out is the provider's deadline. Connections are kept, certificates
    are checked, nothing is followed, and neither cookies nor proxies take part.
    """

    abstract = True
    insecure = False

    def __init__(self, environment: Environment) -> None:
        options: Any = environment.parsed_options
        self.provider = providers.load(options.provider)
        self.credentials = self.provider.credentials(options.app_key or None, os.environ.get(SECRET))
        super().__init__(environment)
        context = self.ssl_context_factory or (insecure_ssl_context_factory if self.insecure else None)
        self.sender = Sender(
            str(self.host), max(feed.deadline for feed in self.provider.feeds), insecure=self.insecure, context=context
        )
        place = getattr(environment.runner, "worker_index", 0)
        self.random = Random(f"{options.seed} {place} {next(_numbers)}")
        self.duplicate: float = options.duplicate
        self._story = self.story()

    def story(self) -> Iterator[Sequence[Event]]:
        """Yield what each delivery carries, without end; override it to send something else."""
        return tell(self.provider, Random(self.random.getrandbits(64)), utc_millis(), PACE)

    @task
    def deliver(self) -> None:
        """Send the next delivery of the story; a share of them twice."""
        batch = next(self._story)
        nonce = str(self.random.getrandbits(48))
        feed = self.provider.feed_of(batch[0].type)
        request = feed.request(batch, self.sender.endpoint, self.credentials, Stamp(utc_millis(), nonce, nonce))
        self.attempt(request, feed, batch[0].type)
        if self.random.random() < self.duplicate:
            self.attempt(request, feed, batch[0].type)

    def attempt(self, request: Request, feed: Feed, name: str) -> Judgement:
        """Send a request as it is, and report to Locust, under this name, what the provider makes of the reply."""
        started_at = time.time()
        reply = self.sender.exchange(request)
        judgement = feed.judge(reply)
        self.environment.events.request.fire(
            request_type=request.method,
            name=name,
            response_time=reply.seconds * 1000,
            response_length=len(reply.body) if isinstance(reply, Reply) else 0,
            response=reply,
            context=self.context(),
            exception=None if judgement.outcome is Outcome.ACKED else NotAcknowledged(judgement),
            start_time=started_at,
            url=self.sender.endpoint,
            judgement=judgement,
        )
        return judgement


def share(text: str) -> float:
    """Return a number from 0 to 1."""
    number = math.nan
    with suppress(ValueError):
        number = float(text)
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f"{text}: give a share from 0 to 1, such as 0.01")
    return number


def _arguments(parser: Any) -> None:
    # Those of a group would be missing in the web page.
    parser.add_argument(
        "--provider", choices=providers.names(), default=providers.names()[0], help="Which IM service to play."
    )
    parser.add_argument("--app-key", env_var="IM_APP_KEY", help=f"The app key; the app secret comes from {SECRET}.")
    parser.add_argument("--seed", type=int, default=_SEED, help="The same seed and users tell the same stories.")
    parser.add_argument("--duplicate", type=share, default=0.0, help="Share of the deliveries that are sent twice.")


def _prepare(environment: Environment, **_: Any) -> None:
    """Refuse credentials that cannot be used, get ready, and let what is under way at the end of a run be answered."""
    options: Any = environment.parsed_options
    provider = providers.load(options.provider)
    try:
        provider.credentials(options.app_key or None, os.environ.get(SECRET))
    except BadCredentials as error:
        sys.exit(f"error: the app {error.which} ({'--app-key' if error.which == 'key' else SECRET}): {error}")
    # What the first delivery loads is not to slow the first users down.
    next(tell(provider, Random(), utc_millis(), PACE))
    if not environment.stop_timeout:
        environment.stop_timeout = math.ceil(max(feed.deadline for feed in provider.feeds)) + 1
    # The loop's time has stood still while all this was loaded; --run-time would be over that much earlier.
    gevent.get_hub().loop.update_now()


# Locust has no types for these.
_hooks: Any = events
_hooks.init_command_line_parser.add_listener(_arguments)
_hooks.init.add_listener(_prepare)
