"""HTTP/1.1 over non-blocking sockets: exactly the bytes that are given, many requests at once, and the truth about each.

One attempt is one request: nothing is followed, resumed, or sent again, with one exception. A kept
connection that the receiver closed before it could take the request is replaced: the system says
whether the other side's machine has confirmed any byte, and what it has not, nobody has read.
That a receiver keeps its connections is not taken on trust, unless its answers say so: some close
without a word, and a request that comes just then would be lost through no fault of theirs.

What has arrived is judged by when it arrived, not by when somebody found the time to read it: once
a deadline has passed, the system's own time stamps decide. While a request is not yet with the
receiver, time that is spent elsewhere (a stopped process, a busy machine) is not charged to it.

What an answer can cost is bounded: its headers, what is kept of its body, and its time. There is
no limit of descriptors but the system's. Connections are kept for the `Way` that opened them.
"""

from __future__ import annotations

import errno
import heapq
import os
import selectors
import socket
import ssl
import time
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import Any, Generic

from im_callback.provider_mock.contract import NoReply, Reply, Request
from im_callback.provider_mock.delivery.sockets.answer_reader import KEPT_BODY, Answer, Lost, read_head
from im_callback.provider_mock.delivery.sockets.flights import READ, WRITE, Connection, Flight, Pool, Step, Token, Way
from im_callback.provider_mock.delivery.sockets.lookup import Addresses, Lookup, Unresolved
from im_callback.provider_mock.delivery.sockets.message import Target, head, target, where
from im_callback.provider_mock.delivery.sockets.system import PIECE, Tunnel, trusting

IDLE_SECONDS = 60.0
"""How long a connection is kept that nobody needs."""
SLICE = 0.05
"""Seconds by which a deadline can be noticed late. It is judged exactly."""
MOMENT = 0.01
"""Seconds spent elsewhere that are charged to nobody."""
DRAINED = 128
"""Pieces of an answer that are read at most when its deadline has passed: more than the system holds."""

SHORTAGES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL})
"""What this machine is to blame for when there is no connection."""
BEGUN = frozenset({0, errno.EINPROGRESS, errno.EWOULDBLOCK})


class Connections(Generic[Token]):
    """Requests under way. Each is launched with a token, which comes back with its reply.

    All methods belong to one thread, but `poke`.
    """

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._flying = 0
        self._landed: list[tuple[Token, Reply | NoReply]] = []
        self._pools: dict[tuple[Way, str, str, int], Pool[Token]] = {}
        self._ready: list[Flight[Token]] = []
        """Those that leave with the next look."""
        self._due: dict[int, set[Flight[Token]]] = {}
        """Flights by the slice of time in which their deadline lies."""
        self._slices: list[int] = []
        """A heap of the slices in `_due`."""
        self._opening: set[Flight[Token]] = set()
        """Those whose request is not wholly sent."""
        self._trying: set[Flight[Token]] = set()
        """Those with another address to try."""
        self._short: deque[Flight[Token]] = deque()
        """Those for which this machine has no connection to give."""
        self._contexts: dict[Path | None, ssl.SSLContext] = {}
        self._poked, self._poke = socket.socketpair()
        for end in (self._poked, self._poke):
            end.setblocking(False)
        self._selector.register(self._poked, READ, None)
        self._lookup: Lookup[Flight[Token]] = Lookup(self.poke)
        self._looked_at = self._swept = time.monotonic()
        self._offset = 0.0
        """By how much the time of day was ahead of the monotonic clock when requests last left."""
        self._away = 0.0
        """Seconds that passed elsewhere before this look."""
        self._closed = False

    def __len__(self) -> int:
        return self._flying + len(self._landed)

    def poke(self) -> None:
        """End the waiting of `landed`, from any thread."""
        with suppress(OSError):  # Full: it is poked already. Closed: nobody waits.
            self._poke.send(b".")

    def launch(self, token: Token, request: Request, way: Way) -> str:
        """Have a request sent with the next call of `landed`, which moves it on; return its head as it can be shown.

        Those that wait leave in one go: a receiver that is at work need not be woken for each.
        Raises `HeaderInjection`, and ValueError for an address that leads nowhere.
        """
        where_to = where(request)
        to = where_to[0]
        framing = "Transfer-Encoding: chunked" if request.chunked else f"Content-Length: {len(request.body)}"
        plain_proxy = way.proxy is not None and to.scheme == "http"
        login = f"Proxy-Authorization: Basic {proxy.login}\n" if plain_proxy and (proxy := _proxy(way)).login else ""
        sent, shown = head(request, where_to, way.extra_headers, framing, proxied=plain_proxy, via=login)
        body = request.body
        if request.chunked:
            body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body) if body else b"0\r\n\r\n"
        place = (way, to.scheme, to.host, to.port)
        pool = self._pools.get(place)
        if pool is None:
            pool = self._pools[place] = Pool()
        flight = Flight(token, request.method, sent.encode("utf-8", "surrogateescape") + body, way, to, pool)
        self._flying += 1
        self._ready.append(flight)
        return shown

    def landed(self, wait: float) -> list[tuple[Token, Reply | NoReply]]:
        """Return what has ended, after waiting for traffic so many seconds at most if nothing has."""
        now = time.monotonic()
        if self._ready:
            ready, self._ready = self._ready, []
            self._offset = time.time() - now
            for flight in ready:
                flight.leave(now)
                self._book(flight)
                self._depart(flight)
            now = time.monotonic()
        self._away = now - self._looked_at
        if self._landed or not self._flying:
            wait = 0.0
        elif self._opening:
            wait = min(wait, SLICE)
        if self._slices:
            wait = min(wait, max(0.0, (self._slices[0] + 1) * SLICE - now))
        events = self._selector.select(wait)
        self._looked_at = time.monotonic()
        self._away += max(0.0, self._looked_at - now - wait)
        for key, _ in events:
            if key.data is None:
                with suppress(OSError):
                    while self._poked.recv(4096):
                        pass
            else:
                self._move(key.data)
        for flight, found in self._lookup.found():
            if not flight.over:
                self._forgive(flight)
                self._looked_up(flight, found)
        self._expire()
        landed, self._landed = self._landed, []
        return landed

    def close(self) -> None:
        """Give up what is under way and close all connections."""
        if self._closed:
            return
        self._closed = True
        for key in list(self._selector.get_map().values()):
            if key.data is not None:
                key.data.socket.close()
        self._pools.clear()
        self._due.clear()
        self._opening.clear()
        self._ready.clear()
        self._flying = 0
        self._selector.close()
        self._poked.close()
        self._poke.close()

    # The way of a request: looked up, connected, secured, sent, answered.

    def _depart(self, flight: Flight[Token]) -> None:
        """Take a kept connection, or open one."""
        while (connection := flight.pool.take(flight.sent_at)) is not None:
            if connection.since + MOMENT > flight.sent_at or connection.alive():
                connection.flight = flight
                flight.connection = connection
                flight.reused = flight.reached = True
                self._send(connection, flight)
                return
            self._forget(connection)
        self._opening.add(flight)
        to = flight.to if flight.way.proxy is None else _proxy(flight.way)
        found = self._lookup.ask(flight, to.host, to.port)
        if found is not None:
            self._looked_up(flight, found)

    def _looked_up(self, flight: Flight[Token], found: Addresses | Unresolved) -> None:
        if isinstance(found, Unresolved):
            self._fail(flight, f"no connection: {found}")
            return
        flight.addresses = list(found)
        self._connect(flight, "no address")

    def _connect(self, flight: Flight[Token], problem: str) -> None:
        """Connect to the next of the receiver's addresses."""
        flight.move_on = None
        self._trying.discard(flight)
        while flight.addresses:
            family, address = flight.addresses.pop(0)
            if (reason := flight.way.refuses(str(address[0]))) is not None:
                problem = reason
                continue
            try:
                one = self._open(family, address)
            except OSError as error:
                if error.errno in SHORTAGES and not flight.addresses:
                    flight.addresses = [(family, address)]
                    flight.short_since = time.monotonic()
                    self._short.append(flight)
                    return
                problem = error.strerror or str(error)
                continue
            flight.connection = Connection(one, flight, self._connected)
            self._selector.register(one, WRITE, flight.connection)
            if flight.addresses:
                # With more addresses to try, each has its share of the time that is left.
                flight.move_on = time.monotonic() + max(0.0, flight.deadline - time.monotonic()) / 2
                self._trying.add(flight)
            return
        self._fail(flight, f"no connection: {problem}")

    def _open(self, family: int, address: Any) -> socket.socket:
        """Begin to connect; where there are no descriptors left, at the cost of connections that nobody uses."""
        while True:
            one = None
            try:
                one = socket.socket(family, socket.SOCK_STREAM)
                one.setblocking(False)
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                code = one.connect_ex(address)
                if code not in BEGUN:
                    raise OSError(code, os.strerror(code))
            except OSError as error:
                if one is not None:
                    one.close()
                if error.errno == errno.EADDRNOTAVAIL and family != socket.AF_INET:
                    # There is no IPv6 here.
                    raise OSError(errno.EHOSTUNREACH, error.strerror) from None
                if error.errno not in SHORTAGES or not self._make_room():
                    raise
            else:
                return one

    def _make_room(self) -> bool:
        """Close an idle connection; return whether there was one."""
        for pool in self._pools.values():
            if pool.kept:
                self._drop(pool.kept.popleft())
                return True
        return False

    def _move(self, connection: Connection[Token]) -> None:
        """Do what a connection is ready for."""
        flight = connection.flight
        if flight is None:
            # Nobody has asked: it was closed, or says what nobody wants to hear.
            self._forget(connection)
        elif connection.step is None:
            self._read(connection, flight)
        else:
            self._forgive(flight)
            try:
                connection.step(connection, flight)
            except OSError as error:
                self._lose(connection, flight, error.strerror or str(error))

    def _connected(self, connection: Connection[Token], flight: Flight[Token]) -> None:
        if code := connection.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self._drop(connection)
            flight.connection = None
            self._connect(flight, os.strerror(code))
            return
        flight.move_on = None
        self._trying.discard(flight)
        connection.stamped.ask()
        way = flight.way
        if way.proxy is not None and flight.to.scheme == "https":
            connection.asked = _proxy_request(way, flight.to)
            connection.answer = Answer("CONNECT")
            self._through_proxy(connection, flight)
            return
        flight.reached = True
        self._secure_or_send(connection, flight)

    def _through_proxy(self, connection: Connection[Token], flight: Flight[Token]) -> None:
        """Ask the proxy for a tunnel, and wait for its consent."""
        if connection.asked:
            connection.asked = connection.asked[connection.socket.send(connection.asked) :]
            self._watch(connection, WRITE if connection.asked else READ, self._through_proxy)
            return
        answer = connection.answer
        assert answer is not None
        try:
            while not answer.head.status:
                # Byte by byte: what follows belongs to the receiver.
                data = connection.socket.recv(1)
                if not data:
                    raise Lost("closed before the tunnel was there")
                answer.feed(data)
        except BlockingIOError:
            return
        except Lost as error:
            self._fail(flight, f"no connection: the proxy: {error}")
            return
        if answer.head.status // 100 != 2:
            self._fail(flight, f"no connection: the proxy answered {answer.head.status}")
            return
        connection.answer = None
        flight.reached = True
        self._secure_or_send(connection, flight)

    def _secure_or_send(self, connection: Connection[Token], flight: Flight[Token]) -> None:
        if flight.to.scheme == "http":
            self._send(connection, flight)
            return
        ca_file = flight.way.ca_file
        try:
            if ca_file not in self._contexts:
                self._contexts[ca_file] = trusting(ca_file)
        except OSError as error:
            self._fail(flight, f"no connection: the CA file {ca_file} cannot be used: {error.strerror or error}")
            return
        connection.tunnel = Tunnel(connection.socket, self._contexts[ca_file], flight.to.host)
        self._shake_hands(connection, flight)

    def _shake_hands(self, connection: Connection[Token], flight: Flight[Token]) -> None:
        tunnel = connection.tunnel
        assert tunnel is not None
        try:
            done = tunnel.shake_hands()
        except (ssl.SSLError, Lost) as error:
            self._fail(flight, f"no connection: {getattr(error, 'verify_message', None) or error}")
            return
        if done:
            self._send(connection, flight)
        else:
            self._watch(connection, READ | WRITE if tunnel.pending else READ, self._shake_hands)

    def _send(self, connection: Connection[Token], flight: Flight[Token]) -> None:
        """Send the request, or begin to."""
        connection.answer = None
        data = flight.data if connection.tunnel is None else connection.tunnel.packed(flight.data)
        connection.size = len(data)
        connection.unsent = data
        self._go_on_sending(connection, flight)

    def _go_on_sending(self, connection: Connection[Token], flight: Flight[Token]) -> None:
        left = connection.unsent
        try:
            sent = connection.socket.send(left)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            # It may have been answered before it was complete.
            self._read(connection, flight, problem=error.strerror or str(error))
            return
        if sent == len(left):
            connection.unsent = b""
            # Time spent elsewhere since this look began (a process can be stopped anywhere) kept the request here.
            held = time.monotonic() - max(self._looked_at, flight.sent_at)
            if held > MOMENT:
                self._extend(flight, held)
            if self._opening:
                self._opening.discard(flight)
            self._watch(connection, READ, None)
            return
        connection.unsent = memoryview(left)[sent:]
        self._opening.add(flight)
        self._watch(connection, READ | WRITE, self._both)

    def _both(self, connection: Connection[Token], flight: Flight[Token]) -> None:
        """Read what there is, then go on sending: an answer may come before the request is complete."""
        self._read(connection, flight)
        if not flight.over and connection.flight is flight and connection.unsent:
            self._go_on_sending(connection, flight)

    def _read(self, connection: Connection[Token], flight: Flight[Token], problem: str = "") -> None:
        """Read what has come of an answer."""
        if self._looked_at > flight.deadline:
            # Too late to be sure when it came: the system's stamps decide.
            self._judge(flight)
            return
        try:
            data = connection.socket.recv(PIECE) if connection.tunnel is None else connection.tunnel.recv()[0]
        except BlockingIOError:
            if problem:
                self._lose(connection, flight, problem)
            return
        except OSError as error:
            self._lose(connection, flight, problem or error.strerror or str(error))
            return
        self._take(connection, flight, data, self._looked_at, problem)

    def _take(
        self, connection: Connection[Token], flight: Flight[Token], data: bytes, arrived: float, problem: str = ""
    ) -> None:
        """Take a piece of an answer; b"": the connection has ended."""
        answer = connection.answer
        try:
            if answer is None:
                if data and self._take_whole(connection, flight, data, arrived):
                    return
                answer = connection.answer = Answer(flight.method)
            if data:
                answer.feed(data)
            else:
                answer.end()
        except Lost as error:
            if data or answer is None or answer.heard:
                self._fail(flight, f"connection lost: {error}")
            else:
                self._lose(connection, flight, problem or "closed before an answer", ended=not data)
            return
        if answer.complete:
            head = answer.head
            reply = Reply(head.status, head.headers, bytes(answer.body), flight.lasted(arrived))
            self._land(flight, reply, keep=answer.lasting and bool(data), promised=head.promised)

    def _take_whole(self, connection: Connection[Token], flight: Flight[Token], data: bytes, arrived: float) -> bool:
        """Take an answer that has come in one piece, as nearly all do."""
        end = data.find(b"\r\n\r\n") + 4
        if end < 4 or not data.startswith(b"HTTP/1."):
            return False
        head = read_head(data[:end])
        length = head.length
        if length is None or head.status < 200 or length != len(data) - end or length > KEPT_BODY:
            return False
        if flight.method == "HEAD" or head.status in (204, 304):
            return False
        reply = Reply(head.status, head.headers, data[end:], flight.lasted(arrived))
        self._land(flight, reply, keep=head.lasting, promised=head.promised)
        return True

    # How it ends.

    def _land(
        self, flight: Flight[Token], reply: Reply | NoReply, *, keep: bool = False, promised: bool = False
    ) -> None:
        flight.over = True
        self._flying -= 1
        there = self._due.get(flight.slice)
        if there is not None:
            there.discard(flight)
        if self._opening:
            self._opening.discard(flight)
            self._trying.discard(flight)
        self._landed.append((flight.token, reply))
        connection = flight.connection
        if connection is None:
            return
        flight.connection = connection.flight = None
        connection.answer = None
        connection.since = self._looked_at
        keep = keep and flight.way.keep_alive and not connection.unsent
        if not keep or not flight.pool.put(connection, promised=promised):
            self._drop(connection)

    def _fail(self, flight: Flight[Token], detail: str) -> None:
        self._land(flight, NoReply("unreachable", detail, flight.lasted(time.monotonic())))

    def _lose(self, connection: Connection[Token], flight: Flight[Token], problem: str, *, ended: bool = False) -> None:
        """Take the loss of a connection; the request leaves by another one if nobody can have read it."""
        if flight.reused:
            for closed in flight.pool.lose(connection, self._looked_at)[1:]:
                self._drop(closed)
        if connection.unread(flight, ended=ended):
            connection.flight = flight.connection = None
            flight.reused = flight.reached = False
            self._drop(connection)
            if (there := self._due.get(flight.slice)) is not None:
                there.discard(flight)
            self._extend(flight, flight.lasted(self._looked_at))
            self._book(flight)
            self._depart(flight)
            return
        self._fail(flight, f"{'connection lost' if flight.reached else 'no connection'}: {problem}")

    def _expire(self) -> None:
        """Deal with deadlines that have passed, and with addresses that take too long."""
        now = self._looked_at
        for flight in [one for one in self._trying if one.move_on is not None and one.move_on <= now]:
            if flight.connection is not None:
                self._drop(flight.connection)
                flight.connection = None
            self._connect(flight, "it takes too long")
        for _ in range(len(self._short)):
            flight = self._short.popleft()
            if not flight.over:
                # It waits for us.
                self._extend(flight, now - flight.short_since)
                self._connect(flight, "no address")
                if self._short and self._short[-1] is flight:
                    break
        while self._slices and (self._slices[0] + 1) * SLICE <= now:
            for flight in self._due.pop(heapq.heappop(self._slices)):
                if flight.over:
                    continue
                if flight.deadline > now:
                    self._book(flight)
                else:
                    self._judge(flight)
        if now - self._swept > IDLE_SECONDS / 4:
            self._swept = now
            for place, pool in list(self._pools.items()):
                while pool.kept and now - pool.kept[0].since > IDLE_SECONDS:
                    self._drop(pool.kept.popleft())
                if not pool.kept and now - pool.used_at > IDLE_SECONDS:
                    del self._pools[place]

    def _judge(self, flight: Flight[Token]) -> None:
        """Read what has arrived for a request whose deadline has passed; it counts if it arrived before."""
        connection = flight.connection
        if connection is not None and connection.step is None:
            for _ in range(DRAINED):
                try:
                    data, arrived = connection.receive(flight, self._looked_at, self._offset)
                except BlockingIOError:
                    break
                except OSError:
                    if connection.unread(flight, ended=False):
                        self._lose(connection, flight, "")
                        return
                    break
                if not data and not connection.heard:
                    # When it was closed is not known. That there was no answer is.
                    if connection.unread(flight, ended=True):
                        self._lose(connection, flight, "", ended=True)
                        return
                    break
                if arrived > flight.deadline:
                    break
                self._take(connection, flight, data, arrived)
                if flight.over or flight.connection is not connection:
                    return
        if flight.over:
            return
        limit = f"within {flight.way.deadline:g} s"
        seconds = flight.lasted(time.monotonic())
        if flight.reached:
            self._land(flight, NoReply("timed-out", f"no complete answer {limit}", seconds))
        else:
            self._land(flight, NoReply("unreachable", f"no connection {limit}", seconds))

    # Keeping the books.

    def _book(self, flight: Flight[Token]) -> None:
        number = flight.slice = int(flight.deadline / SLICE)
        there = self._due.get(number)
        if there is None:
            self._due[number] = {flight}
            heapq.heappush(self._slices, number)
        else:
            there.add(flight)

    def _forgive(self, flight: Flight[Token]) -> None:
        """Do not charge a request that waited for us with the time that was spent elsewhere."""
        if self._away > MOMENT:
            self._extend(flight, min(self._away, self._looked_at - flight.sent_at))

    def _extend(self, flight: Flight[Token], seconds: float) -> None:
        # It stays in its slice, and is looked at again when that has passed.
        flight.deadline += seconds
        flight.forgiven += seconds

    def _watch(self, connection: Connection[Token], events: int, step: Step | None) -> None:
        connection.step = step
        if connection.watched != events:
            connection.watched = events
            self._selector.modify(connection.socket, events, connection)

    def _forget(self, connection: Connection[Token]) -> None:
        """Drop an idle connection that the other side has closed, and those that go with it."""
        for closed in connection.pool.lose(connection, self._looked_at):
            self._drop(closed)

    def _drop(self, connection: Connection[Token]) -> None:
        with suppress(KeyError, ValueError):
            self._selector.unregister(connection.socket)
        connection.socket.close()


def _proxy(way: Way) -> Target:
    return target((way.proxy or "").rstrip("/") + "/")


def _proxy_request(way: Way, to: Target) -> bytes:
    """Return the request for a tunnel: the proxy learns the receiver's name and nothing else."""
    place = f"{f'[{to.host}]' if ':' in to.host else to.host}:{to.port}"
    login = _proxy(way).login
    more = "" if login is None else f"Proxy-Authorization: Basic {login}\r\n"
    return f"CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n{more}\r\n".encode()
