"""What the options open around the receiver, and what closes it again."""

from __future__ import annotations

import time
from collections.abc import Callable

from im_callback.conformance.around.command import START_SECONDS, Receiver
from im_callback.conformance.around.downstream import Downstream
from im_callback.conformance.settings import Settings
from im_callback.provider_mock.contract import Reply, Request
from im_callback.provider_mock.delivery.sockets.client import Client

ANSWER_SECONDS = 5.0
PAUSE = 0.1
"""Seconds between two looks at whether it answers."""
NOT_YET = frozenset({502, 503, 504})
"""What a gateway says while nothing stands behind it; the receiver itself may say so too, and is then given time."""
PATIENCE = 20
"""Answers of that kind after which they are taken for the receiver's own."""
MISSING = {
    "command": "the gate cannot end and start the receiver: --receiver-command=CMD is not given",
    "downstream": "the gate cannot slow or cut the receiver's store: --receiver-downstream=HOST:PORT is not given",
}
"""Why a check does not apply without an option, by the option's name."""


def answering(settings: Settings) -> Callable[[str], bool]:
    """Return the function that tells whether an HTTP server answers at an address, whatever it says."""
    client = Client(ANSWER_SECONDS, extra_headers=settings.headers, ca_file=settings.ca_file)
    unready = 0

    def answers(url: str) -> bool:
        nonlocal unready
        (reply,) = client.send([Request(url, (), b"", method="GET")])
        if not isinstance(reply, Reply):
            return False
        if reply.status in NOT_YET and unready < PATIENCE:
            unready += 1
            return False
        unready = 0
        return True

    return answers


def _await(url: str, answers: Callable[[str], bool], seconds: float) -> None:
    """Return when an HTTP server answers, or after these seconds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and not answers(url):
        time.sleep(min(PAUSE, max(0.0, end - time.monotonic())))


class Surroundings:
    """The proxy and the receiver's process, as far as the options ask for them.

    Making one opens nothing; `open` opens the proxy and then starts the receiver, `close` ends both.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.downstream: Downstream | None = None
        self.receiver: Receiver | None = None

    def open_downstream(self) -> None:
        """Listen in front of the store, if one is named; raises `DownstreamError`."""
        settings = self._settings
        if settings.downstream is not None:
            self.downstream = Downstream(*settings.downstream, settings.downstream_port)

    def start_receiver(self) -> None:
        """Start the receiver, if there is a command, or wait for it; raises `ReceiverError` if ours does not come up.

        Who started another one knows why it does not answer: the first delivery shows that it does not.
        """
        settings = self._settings
        if settings.command is None:
            _await(settings.url, answering(settings), settings.wait or 0.0)
            return
        places, variables = {}, {}
        if self.downstream is not None:
            places["downstream"] = variables["DOWNSTREAM_PORT"] = str(self.downstream.own_port)
        self.receiver = Receiver(
            settings.command,
            settings.url,
            answering(settings),
            places=places,
            variables=variables,
            folder=settings.folder,
            patience=settings.wait or START_SECONDS,
        )
        self.receiver.start()

    def close(self) -> None:
        """End the receiver, and then the proxy."""
        if self.receiver is not None:
            self.receiver.close()
        if self.downstream is not None:
            self.downstream.close()

    def lines(self) -> list[str]:
        """Return what the header says of them."""
        found = []
        if self._settings.command is not None:
            found.append(f"command: {self._settings.command} (port {self._port})")
        if self.downstream is not None:
            one = self.downstream
            found.append(f"downstream: {one.host}:{one.port}, through the proxy at 127.0.0.1:{one.own_port}")
        return found

    @property
    def _port(self) -> int | None:
        return self.receiver.port if self.receiver is not None else None
