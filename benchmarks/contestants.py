"""What sends in `benchmarks.engine`, each in a process of its own: `python -m benchmarks.contestants NAME URL COUNT`.

A contestant gets ready, writes `ready`, waits for a line, sends and writes one JSON object: how
many were acked, and when it began and ended, in seconds of the monotonic clock. All send CommsEase
messages, each unlike the others and signed by the provider's own code.
"""

from __future__ import annotations

import gc
import json
import selectors
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from im_callback.provider_mock.contract import Request, Stamp, Written, octets
from im_callback.provider_mock.delivery.app import App
from im_callback.provider_mock.delivery.clock import utc_millis
from im_callback.provider_mock.delivery.engine import Engine
from im_callback.provider_mock.delivery.ledger.records import ACKED, Done, NewDelivery, Waiting, to_text
from im_callback.provider_mock.delivery.sockets.message import head, where
from im_callback.provider_mock.providers import load

PROVIDER = load("commsease")
TYPE = "commsease.conversation"
PAYLOAD: dict[str, Any] = {
    "eventType": "1",
    "convType": "PERSON",
    "to": "receiver-0001",
    "fromAccount": "sender-0001",
    "fromClientType": "IOS",
    "fromDeviceId": "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0",
    "fromNick": "小明",
    "msgTimestamp": "1712345678901",
    "msgType": "TEXT",
    "body": "你好，明天见 / see you tomorrow",
    "msgidClient": "6f1c2d3e-4b5a-6978-8796-a5b4c3d2e1f0",
    "msgidServer": "0",
    "resendFlag": "0",
}
TOGETHER = 64
"""Requests under way at the same time."""
GROUP = 500
"""Deliveries accepted in one call."""


def payload(number: int) -> dict[str, Any]:
    """Return a message unlike all others."""
    return {**PAYLOAD, "msgidServer": str(number)}


BEFORE, AFTER = to_text([payload(0)]).split('"0"', 1)


def text(number: int) -> str:
    """Return the same as it stands in a ledger, and as wrk's script writes it."""
    return f'{BEFORE}"{number}"{AFTER}'


def signed(url: str, number: int) -> Request:
    """Return the request that delivers it."""
    return PROVIDER.feeds[0].request(Written(TYPE, text(number)), url, PROVIDER.defaults, Stamp(utc_millis(), "1"))


def numbers(count: int) -> Iterator[int]:
    """Return numbers that no other process gives."""
    first = time.time_ns() // 1000 % 10**12 * 10**6
    return iter(range(first, first + count))


class Memory:
    """A store without a disk: deliveries are made up when they are asked for, and only counted afterwards."""

    def __init__(self, count: int) -> None:
        self._numbers = enumerate(numbers(count), 1)
        self._left = count
        self.acked = 0

    def due(self, app: str, now: int, limit: int, after: tuple[int, int] | None = None) -> Sequence[Waiting]:
        """Return the next ones."""
        found = [
            Waiting(index, app, TYPE, text(number), 0, 0, None, now, None)
            for index, number in islice(self._numbers, limit)
        ]
        self._left -= len(found)
        return found

    def next_due(self, app: str, after: int | None = None) -> int | None:
        """Return 0, which is long ago, as long as there are any."""
        return 0 if self._left else None

    def together(self, app: str, first: int, size: int) -> Sequence[Waiting]:
        """Return none: no delivery is disturbed."""
        return []

    def record(self, dones: Sequence[Done]) -> int:
        """Count them."""
        self.acked += sum(done.state == ACKED for done in dones)
        return len(dones)

    def backlog(self, app: str) -> int:
        """Return 0: nothing is parked."""
        return 0


def engine(url: str, store: Any) -> Engine:
    """Return an engine for one application."""
    policy = PROVIDER.feeds[0].policies["reliable"]
    app = App("shop", PROVIDER, url, PROVIDER.defaults, policy, concurrency=TOGETHER)
    gc.freeze()  # As `provider-mock serve` does.
    return Engine(store, apps=[app])


def from_memory(url: str, count: int) -> Callable[[], int]:
    """The engine without a ledger."""
    memory = Memory(count)
    runner = engine(url, memory)

    def send() -> int:
        runner.run(until_idle=True)
        return memory.acked

    return send


def accepted(ledger: Any, count: int, then: Callable[[], None] = lambda: None) -> None:
    """Put deliveries into a ledger, some hundred at a time."""
    left = numbers(count)
    while group := [NewDelivery("shop", TYPE, (payload(number),), 0) for number in islice(left, GROUP)]:
        ledger.accept(group)
        then()


def from_ledger(url: str, count: int) -> Callable[[], int]:
    """The engine with deliveries that were accepted into a SQLite ledger before; every attempt is on disk at the end."""
    from im_callback.provider_mock.delivery.ledger import Ledger

    folder = tempfile.TemporaryDirectory()
    ledger = Ledger(str(Path(folder.name, "ledger.db")))
    accepted(ledger, count)
    runner = engine(url, ledger)

    def send() -> int:
        with folder, ledger:
            runner.run(until_idle=True)
            ledger.flush()
            return ledger.counts()[ACKED]

    return send


def while_accepting(url: str, count: int) -> Callable[[], int]:
    """The engine while another thread accepts what it delivers."""
    from im_callback.provider_mock.delivery.ledger import Ledger

    folder = tempfile.TemporaryDirectory()
    ledger = Ledger(str(Path(folder.name, "ledger.db")))
    runner = engine(url, ledger)

    def send() -> int:
        with folder, ledger:
            thread = threading.Thread(target=runner.run)
            thread.start()
            accepted(ledger, count, runner.wake)
            while ledger.next_due("shop") is not None:
                time.sleep(0.02)
            ledger.flush()
            runner.stop()
            thread.join()
            return ledger.counts()[ACKED]

    return send


def fasthttpuser(url: str, count: int) -> Callable[[], int]:
    """Locust's FastHttpUser."""
    import locust.env
    from locust import FastHttpUser, task
    from locust.exception import StopUser

    left = numbers(count)

    class Sender(FastHttpUser):
        host = url

        @task
        def deliver(self) -> None:
            number = next(left, None)
            if number is None:
                raise StopUser
            request = signed(url, number)
            self.client.post(request.url, data=request.body, headers=dict(request.headers), name=TYPE)

    environment = locust.env.Environment(user_classes=[Sender])
    runner = environment.create_local_runner()

    def send() -> int:
        runner.start(TOGETHER, spawn_rate=10_000)
        while environment.stats.total.num_requests < count:
            runner.greenlet.join(timeout=0.01)
        runner.quit()
        return environment.stats.total.num_requests - environment.stats.total.num_failures

    return send


def requests_session(url: str, count: int) -> Callable[[], int]:
    """`requests`, with a Session for each of some threads: more of them are slower."""
    import requests

    left, lock, acked = numbers(count), threading.Lock(), list[int]()

    def work() -> None:
        with requests.Session() as session:
            while True:
                with lock:
                    number = next(left, None)
                if number is None:
                    return
                request = signed(url, number)
                reply = session.post(request.url, data=request.body, headers=dict(request.headers), timeout=5)
                acked.append(reply.status_code == 200)

    def send() -> int:
        workers = [threading.Thread(target=work) for _ in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        return sum(acked)

    return send


def aiohttp_session(url: str, count: int) -> Callable[[], int]:
    """Aiohttp, with as many tasks as the others have requests under way."""
    import asyncio

    import aiohttp

    left, acked = numbers(count), list[int]()

    async def work(session: aiohttp.ClientSession) -> None:
        for number in left:
            request = signed(url, number)
            async with session.post(request.url, data=request.body, headers=dict(request.headers)) as reply:
                await reply.read()
                acked.append(reply.status == 200)

    async def all_of_them() -> int:
        timeout = aiohttp.ClientTimeout(total=5)
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=TOGETHER), timeout=timeout) as session:
            await asyncio.gather(*(work(session) for _ in range(TOGETHER)))
        return sum(acked)

    return lambda: asyncio.run(all_of_them())


def bare_sockets(url: str, count: int) -> Callable[[], int]:
    """Sockets alone, for the floor: requests that were made and signed before are sent, and what comes is read."""
    parts = urlsplit(url)
    data = [octets(head(one, where(one), (), f"Content-Length: {len(one.body)}")[0]) + one.body
            for one in (signed(url, number) for number in numbers(count))]  # fmt: skip
    selector = selectors.DefaultSelector()
    for _ in range(TOGETHER):
        one = socket.create_connection((parts.hostname, parts.port))
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(one, selectors.EVENT_READ)

    def send() -> int:
        left, acked = iter(data), 0
        for key in selector.get_map().values():
            key.fileobj.send(next(left))  # type: ignore[union-attr]
        while acked < count:
            for key, _ in selector.select():
                one: Any = key.fileobj
                acked += one.recv(65536).startswith(b"HTTP/1.1 200")
                if request := next(left, None):
                    one.send(request)
        return acked

    return send


CONTESTANTS = {
    "bare": bare_sockets,
    "memory": from_memory,
    "ledger": from_ledger,
    "accepting": while_accepting,
    "fasthttpuser": fasthttpuser,
    "requests": requests_session,
    "aiohttp": aiohttp_session,
}


def main() -> None:
    """Take part."""
    name, url, count = sys.argv[1:]
    send = CONTESTANTS[name](url, int(count))
    print("ready", flush=True)
    sys.stdin.readline()
    began, cpu = time.monotonic(), time.process_time()
    acked = send()
    print(
        json.dumps({"acked": acked, "began": began, "ended": time.monotonic(), "cpu": time.process_time() - cpu}),
        flush=True,
    )


if __name__ == "__main__":
    main()
