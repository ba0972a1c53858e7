"""Requests that are completed at one moment: byte for byte ordinary ones, and no receiver can make them wait for ever."""

from __future__ import annotations

import asyncio
import socket
import socketserver
import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path

import pytest
import trustme
from im_callback.provider_mock import providers
from im_callback.provider_mock.contract import NoReply, Outcome, Reply, Request
from im_callback.provider_mock.delivery.courier import Courier
from im_callback.provider_mock.delivery.sockets import raw, together
from im_callback.provider_mock.delivery.sockets.client import Client
from im_callback.provider_mock.delivery.sockets.message import HeaderInjection
from im_callback.provider_mock.delivery.sockets.raw import HELD, Line
from im_callback.provider_mock.delivery.sockets.together import send_together
from im_callback.provider_mock.history import Shot

from tests.provider_mock.peers import answers, peer, read_request, silent, unused_port
from tests.provider_mock_faults.recorder import OK, Recorder, always, recorder

FEED = providers.load("rongcloud").feeds[0]

PATIENT = Client(10.0)
HEADERS = (("Content-Type", "application/json"), ("aPPkEY", "x"))


def post(url: str, body: bytes = b'{"a":1}', *, chunked: bool = False, method: str = "POST") -> Request:
    """Return a request."""
    return Request(url, HEADERS, body, method, chunked)


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Callable[[Recorder, int, int], list[list[bytes]]]:
    """Have a server's record looked at when the first request is about to be completed."""

    def watch(there: Recorder, count: int, early: int) -> list[list[bytes]]:
        seen: list[list[bytes]] = []
        throw = Line.throw

        def watched(line: Line, packed: bytes, *, held: bool = False) -> int:
            if not seen:
                there.wait_for(count * early)
                seen.append(there.received)
            return throw(line, packed, held=held)

        monkeypatch.setattr(Line, "throw", watched)
        return seen

    return watch


@contextmanager
def one_at_a_time(backlog: int, script: Callable[[socket.socket], None] | None = None) -> Iterator[str]:
    """Run a server that has one connection at a time, and lets so many others wait."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with suppress(OSError):
                if script is not None:
                    script(self.request)
                    return
                request = read_request(self.request)
                body = b"%d" % len(request.partition(b"\r\n\r\n")[2])
                self.request.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

    class Server(socketserver.TCPServer):
        request_queue_size = backlog

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.005})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/cb"
        server.shutdown()
        thread.join()


def connected() -> tuple[socket.socket, socket.socket]:
    """Return both ends of a connection."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        one = socket.create_connection(listening.getsockname())
        return one, listening.accept()[0]


class TestBarrier:
    """Nothing is complete before everything is written."""

    @pytest.mark.parametrize(
        ("request_of", "late"),
        [
            (post, b"}"),
            (lambda url: post(url, b"x" * 100_000), b"x"),
            (lambda url: post(url, chunked=True), b"}\r\n0\r\n\r\n"),
            (lambda url: post(url, b"", chunked=True), b"0\r\n\r\n"),
            (lambda url: post(url, b""), b"\n"),
            (lambda url: post(url, b"", method="GET"), b"\n"),
            (lambda url: post(url, b"", method="HEAD"), b"\n"),
        ],
        ids=["body", "long body", "chunked", "empty chunked", "empty body", "GET", "HEAD"],
    )
    def test_last_bytes(
        self,
        request_of: Callable[[str], Request],
        late: bytes,
        held: Callable[[Recorder, int, int], list[list[bytes]]],
    ) -> None:
        """All have everything but the end; then all are complete, and look like those of the ordinary client."""
        with recorder(always(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")) as there:
            request = request_of(there.url)
            PATIENT.send([request])
            (ordinary,) = there.received
            del there.connections[:]
            seen = held(there, 5, len(ordinary) - len(late))
            replies = send_together([request] * 5, PATIENT)
        assert [200] * 5 == [reply.status for reply in replies]
        assert ordinary.endswith(late)
        assert [[ordinary.removesuffix(late)] * 5] == seen
        assert [ordinary] * 5 == there.received

    def test_tls(self, tmp_path: Path, held: Callable[[Recorder, int, int], list[list[bytes]]]) -> None:
        """Under TLS as well, by a private authority."""
        authority = trustme.CA()
        authority.cert_pem.write_to_path(tmp_path / "ca.pem")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(context)
        client = Client(10.0, ca_file=tmp_path / "ca.pem")
        with recorder(tls=context) as there:
            request = post(there.url.replace("http:", "https:"))
            client.send([request])
            (ordinary,) = there.received
            del there.connections[:]
            seen = held(there, 4, len(ordinary) - 1)
            replies = send_together([request] * 4, client)
        assert [b"{}"] * 4 == [reply.body for reply in replies]
        assert [[ordinary[:-1]] * 4] == seen
        assert [ordinary] * 4 == there.received

    def test_what_does_not_go_out_at_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Bytes that the system did not take in the loop follow."""
        monkeypatch.setattr(Line, "throw", lambda line, packed, held: 0)
        with recorder() as there:
            assert [200, 200] == [reply.status for reply in send_together([post(there.url)] * 2, PATIENT)]

    @pytest.mark.parametrize("held", [0, HELD])
    def test_with_and_without_holding(self, held: int, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where the system cannot hold them, they are sent one after the other."""
        monkeypatch.setattr(together, "HELD", held)
        monkeypatch.setattr(raw, "HELD", held)
        with recorder(together=8) as there:
            assert [200] * 8 == [reply.status for reply in send_together([post(there.url)] * 8, PATIENT)]

    def test_a_system_that_holds_for_ever(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """It is told to let them out."""
        told: list[Line] = []
        let_out = Line.let_out

        def tell(line: Line) -> None:
            told.append(line)
            let_out(line)

        monkeypatch.setattr(together, "HELD", 1)
        monkeypatch.setattr(Line, "holds", lambda line: True)
        monkeypatch.setattr(Line, "let_out", tell)
        with recorder() as there:
            assert [200] * 2 == [reply.status for reply in send_together([post(there.url)] * 2, PATIENT)]
        assert 2 == len(told)

    @pytest.mark.skipif(not HELD, reason="this system holds nothing back")
    def test_holding(self) -> None:
        """What is thrown as held stays here until it is let out."""

        async def thrown() -> list[object]:
            one, other = connected()
            with one, other:
                one.setblocking(False)
                line = Line(one)
                found: list[object] = [line.throw(b"x", held=True), line.holds()]
                line.let_out()
                return [*found, other.recv(10), line.holds()]

        assert [1, True, b"x", False] == asyncio.run(thrown())

    def test_more_than_the_client_has_at_once(self) -> None:
        """The client's concurrency is no limit here: they are all open at the same time."""
        with recorder(together=24) as there:
            replies = send_together([post(there.url)] * 24, Client(10.0, concurrency=2))
        assert [200] * 24 == [reply.status for reply in replies]


class TestReplies:
    """What comes back."""

    def test_order(self) -> None:
        """Each request gets its own reply, whichever comes first, also from several servers."""

        def script(connection: socket.socket, data: bytes) -> None:
            body = data.partition(b"\r\n\r\n")[2]
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

        with peer(script) as one, peer(script) as other:
            requests = [post((one, other)[n % 2].url, b"%d" % n) for n in range(20)]
            assert [b"%d" % n for n in range(20)] == [reply.body for reply in send_together(requests, PATIENT)]

    def test_mixed(self) -> None:
        """What fails is told in the words of the ordinary client, and takes no other with it."""
        with (
            peer(silent) as hangs,
            peer(answers(b"")) as closes,
            recorder() as fine,
            peer(answers(b"SSH-2.0\r\n")) as odd,
        ):
            dead = f"http://127.0.0.1:{unused_port()}/"
            requests = [post(url) for url in (hangs.url, closes.url, fine.url, odd.url, dead)]
            hung, closed, reply, strange, nobody = send_together(requests, Client(1.0))
        assert isinstance(hung, NoReply)
        assert ("timed-out", "no complete answer within 1 s") == (hung.kind, hung.detail)
        assert 1.0 <= hung.seconds
        assert isinstance(closed, NoReply)
        assert closed.detail.startswith("connection lost: ")
        assert isinstance(reply, Reply)
        assert 200 == reply.status
        assert isinstance(strange, NoReply)
        assert "unreachable" == strange.kind
        assert isinstance(nobody, NoReply)
        assert nobody.detail.startswith("no connection: ")

    @pytest.mark.parametrize("size", [10, 20_000_000])
    def test_answered_early(self, size: int) -> None:
        """An answer that comes before the request is complete is its answer."""
        early = b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno"

        def script(connection: socket.socket, _: bytes) -> None:
            connection.sendall(early)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(1_000_000):
                pass

        class Headers(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                data = b""
                while b"\r\n\r\n" not in data:
                    data += self.request.recv(100)
                with suppress(OSError):
                    script(self.request, data)

        with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Headers) as server:
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.005})
            thread.start()
            url = f"http://127.0.0.1:{server.server_address[1]}/"
            replies = send_together([post(url, b"x" * size)] * 3, PATIENT)
            server.shutdown()
            thread.join()
        assert [(413, b"no")] * 3 == [(reply.status, reply.body) for reply in replies]

    def test_time_begins_with_the_end(self) -> None:
        """How long they were held back counts neither for the deadline nor as the receiver's."""
        with recorder() as there:
            (reply,) = send_together([post(there.url)], Client(1.0), settle=1.2)
        assert isinstance(reply, Reply)
        assert 0 < reply.seconds < 1.0

    def test_none(self) -> None:
        """No requests, no replies."""
        assert [] == send_together([], PATIENT)

    def test_header_injection(self) -> None:
        """A header that would break out of its line is not sent, nor anything else."""
        with recorder() as there:
            with pytest.raises(HeaderInjection):
                send_together([post(there.url), Request(there.url, (("a", "b\r\nc: d"),), b"")], PATIENT)
            assert [] == there.connections

    def test_extra_headers(self) -> None:
        """What a gateway wants goes with each."""
        with recorder() as there:
            send_together([post(there.url)] * 2, Client(10.0, extra_headers=(("X-Gate", "1"),)))
        assert all(b"\r\nX-Gate: 1\r\n" in one for one in there.received)

    def test_inside_an_event_loop(self) -> None:
        """The caller may be in one."""

        async def called() -> list[Reply | NoReply]:
            return send_together([post(there.url)] * 2, PATIENT)

        with recorder() as there:
            assert [200, 200] == [reply.status for reply in asyncio.run(called())]

    def test_proxy(self) -> None:
        """Through a proxy they go as the client sends them."""
        with recorder() as there:
            replies = send_together([post("http://receiver.invalid/cb")] * 2, Client(10.0, proxy=there.url[:-3]))
        assert [200, 200] == [reply.status for reply in replies]
        assert [b"POST http://receiver.invalid/cb HTTP/1.1"] * 2 == [one.split(b"\r\n")[0] for one in there.received]


class TestLimitedReceivers:
    """A receiver that does not take all of them at once gets them all the same."""

    def test_one_worker(self) -> None:
        """One connection at a time; the others wait in the queue, written as far as it takes."""
        with one_at_a_time(32) as url:
            replies = send_together([post(url, b"x" * n) for n in range(1, 17)], PATIENT)
        assert [b"%d" % n for n in range(1, 17)] == [reply.body for reply in replies]

    def test_four_workers(self) -> None:
        """Four at a time, which read nothing of the others before they are through."""
        with socket.create_server(("127.0.0.1", 0), backlog=32) as listening, ThreadPoolExecutor(4) as workers:

            def work() -> None:
                connection, _ = listening.accept()
                with connection:
                    read_request(connection)
                    connection.sendall(OK)

            for _ in range(16):
                workers.submit(work)
            url = f"http://127.0.0.1:{listening.getsockname()[1]}/"
            assert [200] * 16 == [reply.status for reply in send_together([post(url)] * 16, PATIENT)]

    def test_what_cannot_be_written(self) -> None:
        """Bodies beyond what the system keeps for a connection that nobody reads go on when it is read."""
        with one_at_a_time(32) as url:
            replies = send_together([post(url, b"x" * 8_000_000)] * 3, PATIENT, moment=0.2)
        assert [b"8000000"] * 3 == [reply.body for reply in replies]

    def test_what_cannot_be_connected(self) -> None:
        """A queue that is full keeps them out for a while; nobody waits for those."""
        with one_at_a_time(0) as url:
            replies = send_together([post(url)] * 4, Client(20.0), moment=0.1)
        assert [200] * 4 == [reply.status for reply in replies]

    def test_a_queue_that_stays_full(self) -> None:
        """Whoever is never let in has no connection."""
        with socket.create_server(("127.0.0.1", 0), backlog=0) as listening:
            url = f"http://127.0.0.1:{listening.getsockname()[1]}/"
            replies = send_together([post(url)] * 4, Client(0.5), moment=0.1)
        told = [reply.detail for reply in replies if isinstance(reply, NoReply)]
        assert 4 == len(told)
        assert set(told) <= {"no connection within 0.5 s", "no complete answer within 0.5 s"}


class TestRace:
    """A receiver that looks first and then writes."""

    def test_found(self) -> None:
        """All look before the first has written."""
        stored: list[bytes] = []
        looked = threading.Barrier(8)

        def script(connection: socket.socket, data: bytes) -> None:
            if data not in stored:
                looked.wait(10)
                stored.append(data)
            connection.sendall(OK)

        with peer(script) as there:
            send_together([post(there.url)] * 8, PATIENT)
        assert 8 == len(stored)


class TestCourier:
    """Tests for `Courier.together`, and for its rate."""

    def test_history(self) -> None:
        """Every attempt is judged, dated and written down; the answer is in the order of the shots."""
        courier = Courier(PATIENT, clock=lambda: 1_700_000_000_000)
        with recorder() as good, peer(answers(b"HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n")) as bad:
            requests = [post(good.url), post(bad.url), post(f"http://127.0.0.1:{unused_port()}/"), post(good.url)]
            attempts = courier.together([Shot(FEED, request, request) for request in requests])
        assert [Outcome.ACKED, Outcome.REFUSED, Outcome.UNREACHABLE, Outcome.ACKED] == [one.outcome for one in attempts]
        assert requests == [one.shot.request for one in attempts]
        assert {1_700_000_000_000} == {one.sent_at for one in attempts}
        assert sorted(map(id, attempts)) == sorted(map(id, courier.history))
        seconds = [one.reply.seconds for one in courier.history]
        assert sorted(seconds) == seconds

    def test_no_burst_under_a_rate(self) -> None:
        """A rate leaves no room for it: nothing is sent."""
        courier = Courier(PATIENT, rate=2.0)
        with recorder() as there:
            request = post(there.url)
            with pytest.raises(ValueError, match=r"at a rate of 2 per second"):
                courier.together([Shot(FEED, request, request)])
            assert [] == there.connections

    @pytest.mark.parametrize("rate", [0.5, 1, 3, 50])
    def test_rate(self, rate: float) -> None:
        """In any second no more than the rate start, however the shots are handed over, and none is late for nothing."""
        now, started = [100.0], list[float]()

        def sleep(seconds: float) -> None:
            assert seconds > 0
            now[0] += seconds

        with recorder(lambda *_: started.append(now[0]) or OK) as there:
            shot = Shot(FEED, post(there.url), post(there.url))
            courier = Courier(PATIENT, rate=rate, now=lambda: now[0], sleep=sleep)
            for size in (1, 3, 2, 0, 4):
                assert size == len(courier.send([shot] * size))
        assert 10 == len(started) == len(courier.history)
        assert 100.0 == started[0]
        gaps = [later - earlier for earlier, later in pairwise(started)]
        assert all(1 / rate < gap < 1.05 / rate for gap in gaps)

    def test_pauses_count(self) -> None:
        """Time that has passed otherwise is not waited for again, nor made up for by a burst."""
        now, slept = [100.0], list[float]()

        def sleep(seconds: float) -> None:
            slept.append(seconds)
            now[0] += seconds

        with recorder() as there:
            shot = Shot(FEED, post(there.url), post(there.url))
            courier = Courier(PATIENT, rate=1, now=lambda: now[0], sleep=sleep)
            courier.send([shot])
            now[0] += 60
            courier.send([shot])
            assert [] == slept
            courier.send([shot])
        assert [pytest.approx(1.01)] == slept

    def test_a_sleep_that_ends_early(self) -> None:
        """The next one counts from when this one was due."""
        now, slept = [100.0], list[float]()

        def sleep(seconds: float) -> None:
            slept.append(seconds)
            now[0] += seconds / 2

        with recorder() as there:
            shot = Shot(FEED, post(there.url), post(there.url))
            courier = Courier(PATIENT, rate=1, now=lambda: now[0], sleep=sleep)
            courier.send([shot] * 3)
        assert [pytest.approx(1.01), pytest.approx(1.515)] == slept

    @pytest.mark.parametrize("rate", [0, -1, float("inf"), float("nan")])
    def test_no_rate(self, rate: float) -> None:
        """A rate is a number above 0."""
        with pytest.raises(ValueError, match="give more than 0"):
            Courier(PATIENT, rate=rate)

    def test_at_once_without_a_rate(self) -> None:
        """Without one they leave at once, and nothing sleeps."""
        with recorder(together=3) as there:
            courier = Courier(PATIENT, sleep=lambda _: pytest.fail("it slept"))
            assert [True] * 3 == [one.acked for one in courier.send([Shot(FEED, post(there.url), post(there.url))] * 3)]
