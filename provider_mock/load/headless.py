"""The locustfile of `provider-mock load`: users at a steady pace, and what they counted as JSON lines on standard output.

The lines: `{"port": …}`, where a master listens; `{"tally": …}`, what was counted since the line before;
`{"error": …}`, an error of ours; `{"final": true}`, with which every process ends.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

import gevent
from im_callback.provider_mock.contract import Judgement
from im_callback.provider_mock.delivery.clock import steady
from im_callback.provider_mock.delivery.tally import Tally
from im_callback.provider_mock.load.user import CallbackUser
from locust import events
from locust.runners import MasterRunner

EVERY = 0.1
"""Seconds between two lines."""
_tally = Tally()


class Callbacks(CallbackUser):
    """A user that sends `--each` deliveries per second, beginning at a moment of its own; 0: as fast as it goes."""

    _due: float | None = None

    def on_start(self) -> None:
        """Spread the users over time, so that they do not all send at the same moments."""
        self.wait()  # type: ignore[no-untyped-call]

    def wait_time(self) -> float:
        """Return the seconds until the next delivery."""
        each = self.environment.parsed_options.each
        if not each:
            return 0.0
        now = time.perf_counter()
        self._due = now + self.random.random() / each if self._due is None else max(now, self._due + 1 / each)
        return float(self._due - now)


def _arguments(parser: Any) -> None:
    parser.add_argument("--each", type=float, default=0.0, include_in_web_ui=False)


def _begin(environment: Any, runner: Any, **_: Any) -> None:
    if isinstance(runner, MasterRunner):
        _say({"port": runner.server.port})
    gevent.spawn(_go_on_saying)


def _count(judgement: Judgement, response_time: float, **_: Any) -> None:
    _tally.add(judgement, response_time / 1000, steady())


def _fail(user_instance: CallbackUser, exception: Exception, **_: Any) -> None:
    _say({"error": f"{type(exception).__name__}: {exception}"})


def _end(**_: Any) -> None:
    _say_tally()
    _say({"final": True})


def _go_on_saying() -> None:
    while True:
        gevent.sleep(EVERY)
        _say_tally()


def _say_tally() -> None:
    global _tally
    counted, _tally = _tally, Tally()
    _say({"tally": counted.dump()})


def _say(line: dict[str, Any]) -> None:
    try:
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever started the run is gone; nobody is to be left sending.
        os._exit(1)


# Locust has no types for these.
_hooks: Any = events
_hooks.init_command_line_parser.add_listener(_arguments)
_hooks.init.add_listener(_begin)
_hooks.request.add_listener(_count)
_hooks.user_error.add_listener(_fail)
_hooks.quit.add_listener(_end)
