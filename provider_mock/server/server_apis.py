"""Plays the providers' server APIs: finds the application that a call's key names, asks, keeps state, accepts what follows.

What knows a provider stands in its `api`. A call that was answered is on disk, with all events that it causes.
"""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from random import Random, SystemRandom
from typing import Any, NamedTuple

from im_callback.provider_mock import providers
from im_callback.provider_mock.contract import (
    ApiAnswer,
    ApiError,
    ApiRequest,
    Caller,
    Credentials,
    Decision,
    Event,
    Feed,
    Moment,
    Reply,
    Said,
    ServerApi,
    Steps,
)
from im_callback.provider_mock.delivery.clock import Clock, utc_millis
from im_callback.provider_mock.delivery.ledger import Kept, Ledger, LedgerError
from im_callback.provider_mock.server.exchange import answered
from im_callback.provider_mock.server.intake import Intake
from im_callback.provider_mock.server.questions import Questions
from im_callback.provider_mock.server.registry import Entry, Registry

SLACK = 1.0
"""Seconds that a question may wait for its turn, beyond the time in which it is to be answered."""
_SEEDS = SystemRandom()


class Played(NamedTuple):
    """The answer to a call, the app that has made it (None: it is nobody's), and whether something may have changed by it.

    A call of nobody counts as one that was to change something.
    """

    answer: ApiAnswer
    app: str | None
    changes: bool


class ServerApis:
    """The server APIs of all providers that have one, for the registry's apps."""

    def __init__(
        self,
        ledger: Ledger,
        clock: Clock,
        registry: Registry,
        intake: Intake,
        questions: Questions,
        shared: Callable[[], bool],
    ) -> None:
        self._ledger, self._clock, self._registry, self._shared = ledger, clock, registry, shared
        self._intake, self._questions = intake, questions
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    def answer(self, request: ApiRequest) -> Played | None:
        """Return the answer to a request, once all that follows from it is on disk; None for a path of no provider's."""
        name = owner(request.path)
        if name is None:
            return None
        api = providers.load(name).api
        assert api is not None
        entry, refusal = self._caller(name, api, request)
        if entry is None:
            return Played(refusal, None, changes=True)
        call = api.call(request)
        if call is None:
            return Played(api.not_played(request), entry.name, changes=False)
        state = _State(self._ledger, entry.name)
        moment = Moment(utc_millis(), Random(_SEEDS.getrandbits(64)))
        try:
            answer = self._play(entry, api, call(request, Caller(_credentials(entry), moment, state)), state)
            return Played(answer, entry.name, changes=state.changed or bool(answer.events))
        except LedgerError as error:
            return Played(api.unavailable(str(error)), entry.name, changes=True)

    def _caller(self, provider: str, api: ServerApi, request: ApiRequest) -> tuple[Entry | None, ApiAnswer]:
        """Return the app whose key and secret a request was made with, or the answer to one of nobody."""
        refusal = api.unknown_app(request)
        for entry in self._registry.of_key(provider, api.app_key(request)):
            for credentials in _signers(entry, self._clock.now()):
                found = api.refusal(request, credentials, utc_millis())
                if found is None:
                    return entry, refusal
                refusal = found
        return None, refusal

    def _play(self, entry: Entry, api: ServerApi, steps: Steps, state: _State) -> ApiAnswer:
        said: Sequence[Said] | None = None
        while True:
            # What is asked may take seconds, and the one who is asked may call in its turn.
            with self._locks[entry.name], self._ledger.exclusively(entry.name):
                try:
                    asked = next(steps) if said is None else steps.send(said)
                except ApiError as error:
                    return error.answer
                except StopIteration as ended:
                    answer: ApiAnswer = ended.value
                    if problem := _problem(entry, answer.events):
                        return api.unusable(problem)
                    self._accept(entry, answer.events, state)
                    return answer
            if problem := _problem(entry, [(event,) for event in asked]):
                return api.unusable(problem)
            said = self._ask(entry, asked)

    def _ask(self, entry: Entry, events: Sequence[Event]) -> list[Said]:
        """Return what was said to questions, all of them asked at once."""
        assert entry.provider is not None
        found: dict[int, tuple[Decision, Reply]] = {}
        ids: Sequence[int] = ()
        feeds = [entry.provider.feed_of(event.type) for event in events]
        if events and _told(entry, feeds[0]):
            with self._questions:
                ids = self._accept(entry, [(event,) for event in events])
                look = self._look if self._shared() else None
                found = dict(self._questions.answers(ids, feeds[0], feeds[0].deadline + SLACK, look))
        answers = [found.get(one) for one in ids] or [None] * len(events)
        return [
            _said(feed, event, answer, asked=bool(ids))
            for feed, event, answer in zip(feeds, events, answers, strict=True)
        ]

    def _look(self, ids: Sequence[int]) -> dict[int, Reply | None]:
        """Return what questions were answered that another process has asked."""
        found: dict[int, Reply | None] = {}
        for one, attempt in self._ledger.first_attempts(ids).items():
            answer = answered(attempt)
            body = None if answer is None else answer.body.encode()
            found[one] = (
                None
                if answer is None or body is None
                else Reply(answer.status or 0, answer.headers, body, attempt.seconds)
            )
        return found

    def _accept(
        self, entry: Entry, deliveries: Sequence[tuple[Event, ...]], state: _State | None = None
    ) -> Sequence[int]:
        """Accept what the app's console lets through, with the changes of its state; return the ids."""
        assert entry.provider is not None
        batches = [
            (events[0].type, events) for events in deliveries if _told(entry, entry.provider.feed_of(events[0].type))
        ]
        changes = {} if state is None else state.changes
        if not batches:
            self._ledger.save_state(entry.name, changes)
            return ()
        due_at = [self._clock.now()] * len(batches)
        return self._intake.take(entry, batches, due_at, faults=(), seed=_SEEDS.randrange(2**32), state=changes)


class _State:
    """What is known of an app, with the changes of one call."""

    def __init__(self, ledger: Ledger, app: str) -> None:
        self._ledger, self._app = ledger, app
        self.changes: dict[tuple[str, str], Kept | None] = {}

    @property
    def changed(self) -> bool:
        """Whether something was to be changed."""
        return bool(self.changes)

    def get(self, kind: str, one: str) -> dict[str, Any] | None:
        """Return what is known of one, or None."""
        if (kind, one) in self.changes:
            kept = self.changes[kind, one]
            return None if kept is None else json.loads(json.dumps(kept.value))
        return self._ledger.state(self._app, kind, one)

    def put(self, kind: str, one: str, value: Mapping[str, Any], *, passing: bool = False) -> None:
        """Keep what is known of one."""
        self.changes[kind, one] = Kept(dict(value), passing)

    def drop(self, kind: str, one: str) -> None:
        """Forget one."""
        self.changes[kind, one] = None


def owner(path: str) -> str | None:
    """Return the provider whose server API a path belongs to, played or not."""
    for name in providers.names():
        with suppress(providers.UnknownProvider):
            api = providers.load(name).api
            if api is not None and api.owns(path):
                return name
    return None


def _credentials(entry: Entry) -> Credentials:
    assert entry.app is not None
    return Credentials(entry.app.credentials.app_key, entry.api_secret)


def _signers(entry: Entry, now: int) -> list[Credentials]:
    """Return what calls may be signed with: while a secret is changed, with the previous one as well."""
    present, until = _credentials(entry), entry.settings.overlap_until
    if entry.previous_api_secret is None or until is None or now >= until:
        return [present]
    # The last one's refusal is answered.
    return [replace(present, app_secret=entry.previous_api_secret), present]


def _told(entry: Entry, feed: Feed) -> bool:
    return entry.settings.api_feeds is None or feed.name in entry.settings.api_feeds


def _problem(entry: Entry, deliveries: Sequence[tuple[Event, ...]]) -> str | None:
    """Return why an event is none that the provider would send: a value of the call's is not possible."""
    assert entry.provider is not None
    for events in deliveries:
        for event in events:
            event_type = entry.provider.catalogue[event.type]
            for problem in event_type.problems(event.payload):
                return f"{problem.pointer} {problem.message}"
    return None


def _said(feed: Feed, event: Event, answer: tuple[Decision, Reply] | None, *, asked: bool) -> Said:
    if answer is None:
        return Said("refuse" if asked and feed.undecided == "refused" else "allow", event.payload)
    decision, reply = answer
    return Said(decision.word, feed.modified(event.payload, reply), json.loads(reply.body.decode("utf-8-sig")))
