"""Runs against receivers that a test writes in a few lines."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from im_callback.conformance.effects import mapped
from im_callback.conformance.run import Run
from im_callback.conformance.settings import Settings
from im_callback.provider_mock import providers
from im_callback.provider_mock.contract import Request

from tests.conformance.little_server import Answer, serving

OK: Answer = (200, "application/json", b'{"ActionStatus":"OK","ErrorInfo":"","ErrorCode":0}')


class Keeper:
    """A receiver that verifies as the provider does, keeps every payload once, and can be told to do otherwise.

    `refuses` is asked before anything else: an answer ends the request. `keeps` says whether a payload is kept.
    """

    def __init__(self, provider: str) -> None:
        self.provider = providers.load(provider)
        self.records: list[Any] = []
        self.refuses: Callable[[Request, Any], Answer | None] = lambda request, payload: None
        self.keeps: Callable[[Any], bool] = lambda payload: True
        self.verifies = True

    def __call__(self, request: Request) -> Answer:
        try:
            document = json.loads(request.body)
        except ValueError:
            return (400, "text/plain", b"no JSON")
        if refusal := self.refuses(request, document):
            return refusal
        # Python's own server reads the path; the provider verifies the address as it was sent.
        now = round(time.time() * 1000)
        if self.verifies and (wrong := self.provider.feeds[0].verify(request, self.provider.defaults, now)):
            return (401, "text/plain", wrong.encode())
        for payload in self.provider.feeds[0].payloads(document):
            if payload not in self.records and self.keeps(payload):
                self.records.append(payload)
        return OK


@contextmanager
def running(keeper: Keeper, *, effects: bool = True, **settings: Any) -> Iterator[Run]:
    """Yield a run against the receiver; its effects may take no time to appear."""
    with serving(keeper) as little:
        chosen = {"credentials": keeper.provider.defaults, "seed": 1, "settle": 0.0, **settings}
        mapping = chosen.pop("mapping", None)
        read = mapped(lambda: list(keeper.records), mapping) if effects else None
        yield Run(Settings(little.url, keeper.provider, **chosen), read)
