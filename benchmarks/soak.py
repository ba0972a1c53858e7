"""Runs the server under a mixed load for a while, and checks that everybody's counts agree to the last one.

Run it from the repository's root: `python -m benchmarks.soak --seconds 600`, with `--database URL` for
another ledger than a new SQLite file. Clients accept events through the API: in calls of their own
and of a traffic run, with retries, refusals, time-outs, faults, repeated calls and redeliveries. In
the end the deliveries and attempts of the API, the metrics, the rows of the ledger and the requests
that an independent receiver has seen must be the same numbers, for each application. Exit 1 if not.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests
from im_callback.provider_mock.delivery.ledger import LedgerReader, models
from sqlalchemy import func, select

from benchmarks.answering import answering
from tests.provider_mock_server.running import Running, running

if TYPE_CHECKING:
    from typing_extensions import Self

CLIENTS = 3
RATE = 150.0
"""Deliveries that all clients together accept per second."""
LARGEST = 12
"""Events of one call."""
FAULTS = ("duplicate:times=2", "lose-ack", "reorder", "tamper-signature", "truncate", "burst", "half-close")
PATIENCE = 180.0
"""Seconds that everything may take to be through in the end."""
SAMPLE = 200
"""Deliveries whose attempts are asked for one by one."""
APPS = {
    "patient": (
        "commsease",
        "commsease.login",
        {"policy": "reliable", "options": {"retries": 2, "spacing_seconds": 0.2}},
    ),
    "rooms": ("rongcloud", "rongcloud.chatroom-kv", {}),
    "timely": ("tencent", "tencent.c2c-after-send", {"policy": "on-timeout", "options": {"spacing_seconds": 0.1}}),
    "disturbed": ("commsease", "commsease.logout", {"faults": ["duplicate:every=5"]}),
}
"""Provider, event type and more of each application."""
Told = Callable[[str], None]


class Receiver:
    """Counts the requests that reach it, by application; refuses some, and leaves some of one application unanswered."""

    def __init__(self, seed: int) -> None:
        self.seen: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._random = random.Random(seed)

    def listening(self) -> AbstractContextManager[str]:
        """Return what runs it and yields its address; the path names the application."""
        content = b'{"ActionStatus":"OK","ErrorInfo":"","ErrorCode":0}'
        return answering(lambda path, _: self.taken(path.partition("?")[0].strip("/")), content=content)

    def taken(self, app: str) -> int:
        """Count a request; return the status to answer, 0 for none."""
        with self._lock:
            self.seen[app] += 1
            chance = self._random.random()
        if app == "timely" and chance < 0.01:
            return 0
        return 503 if chance < 0.15 else 200


@dataclass
class Account:
    """What everybody counted, by application, and what does not agree."""

    accepted: Counter[str] = field(default_factory=Counter)
    redelivered: Counter[str] = field(default_factory=Counter)
    sent_again: set[int] = field(default_factory=set)
    repeated: int = 0
    wrong: list[str] = field(default_factory=list)
    rss: list[int] = field(default_factory=list)
    """Megabytes of the server, at the begin, at intervals and in the end."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def same(self, what: str, **counts: Any) -> None:
        """Take note of counts that should be the same."""
        if len({str(value) for value in counts.values()}) > 1:
            self.wrong.append(
                f"{what}: " + ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in counts.items())
            )


class Api:
    """The server's API, through a connection of its own."""

    def __init__(self, server: Running) -> None:
        self.url = server.url
        self._session = requests.Session()
        self._session.trust_env = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def ask(self, method: str, path: str, body: Any = None, **more: Any) -> Any:
        """Return what is answered below `/api/v1`."""
        if body is not None:
            more["json"] = body
        response = self._session.request(method, f"{self.url}/api/v1{path}", timeout=60, **more)
        response.raise_for_status()
        return response.json() if response.content else None

    def metrics(self) -> dict[str, float]:
        """Return the metrics, by name and labels."""
        text = self._session.get(f"{self.url}/metrics", timeout=60).text
        return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line[:1] != "#"}


def soak(
    seconds: float, *, rate: float = RATE, database: str | None = None, seed: int = 1, told: Told = print
) -> Account:
    """Run it; return what was counted."""
    account, receiver = Account(), Receiver(seed)
    with tempfile.TemporaryDirectory() as folder, receiver.listening() as address:
        where = database or str(Path(folder) / "soak.db")
        with running("--database", where, "--secrets", str(Path(folder) / "secrets")) as server:
            account.rss.append(_megabytes(server))
            with Api(server) as api:
                for name, (provider, _, more) in APPS.items():
                    settings = {"provider": provider, "endpoint": f"{address}/{name}", **more}
                    api.ask("PUT", f"/apps/{name}", settings)
                run = api.ask(
                    "POST", "/apps/disturbed/traffic", {"rate": rate / 10, "duration": max(0.5, seconds * 0.8)}
                )
                _load(server, account, seconds, rate, seed, told)
                _settle(api, account)
                account.rss.append(_megabytes(server))
                _traffic(api, account, run["id"])
                _compare(api, account, receiver, where)
            account.same("exit status", server=server.end(), wanted=0)
    return account


def _load(server: Running, account: Account, seconds: float, rate: float, seed: int, told: Told) -> None:
    until, keys = time.monotonic() + seconds, count(1)
    threads = [
        threading.Thread(
            target=_client, args=(server, account, until, rate / CLIENTS, random.Random(seed + number), keys)
        )
        for number in range(CLIENTS)
    ]
    for thread in threads:
        thread.start()
    every = max(1.0, seconds / 10)
    while (left := until - time.monotonic()) > 0:
        threading.Event().wait(min(every, left))
        account.rss.append(_megabytes(server))
        told(
            f"{seconds - max(0.0, until - time.monotonic()):5.0f} s: {account.rss[-1]} MB, {sum(account.accepted.values())} accepted"
        )
    for thread in threads:
        thread.join()


def _client(
    server: Running, account: Account, until: float, rate: float, dice: random.Random, keys: Iterator[int]
) -> None:
    """Accept at this rate, repeat some calls, have some deliveries sent again."""
    begun, made = time.monotonic(), 0
    try:
        with Api(server) as api:
            while time.monotonic() < until:
                name = dice.choice(list(APPS))
                body: dict[str, Any] = {"events": [{"type": APPS[name][1]}] * dice.randint(1, LARGEST)}
                if dice.random() < 0.2:
                    body["faults"] = [dice.choice(FAULTS)]
                headers = {"Idempotency-Key": f"call-{next(keys)}"}
                first = api.ask("POST", f"/apps/{name}/events", body, headers=headers)["deliveries"]
                made += len(first)
                with account.lock:
                    account.accepted[name] += len(first)
                if dice.random() < 0.1:
                    again = api.ask("POST", f"/apps/{name}/events", body, headers=headers)
                    with account.lock:
                        account.repeated += 1
                        account.same("a repeated call", first=first, again=again["deliveries"])
                if dice.random() < 0.1:
                    _again(api, account, dice)
                threading.Event().wait(max(0.0, begun + made / rate - time.monotonic()))
    except Exception as error:  # noqa: BLE001 - It is told in the end.
        with account.lock:
            account.wrong.append(f"a client: {type(error).__name__}: {error}")


def _again(api: Api, account: Account, dice: random.Random) -> None:
    """Have a settled delivery sent again that was not sent again before."""
    name, state = dice.choice(list(APPS)), dice.choice(["acked", "dropped", "parked"])
    items = api.ask("GET", f"/deliveries?app={name}&state={state}&limit=50")["items"]
    for one in items:
        with account.lock:
            if one["id"] in account.sent_again:
                continue
            account.sent_again.add(one["id"])
        counted = api.ask("POST", "/redeliveries", {"ids": [one["id"]]})["count"]
        with account.lock:
            account.redelivered[name] += counted
        return


def _settle(api: Api, account: Account) -> None:
    """Return when nothing waits or is under way any more."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        waiting = api.ask("GET", "/deliveries?state=waiting&limit=1")["items"]
        running = [one["id"] for one in api.ask("GET", "/traffic-runs")["items"] if one["status"] == "running"]
        busy = [one["name"] for one in api.ask("GET", "/apps")["items"] if one["in_flight"]]
        if not (waiting or running or busy):
            return
        threading.Event().wait(0.2)
    account.wrong.append(f"after {PATIENCE:g} s something is still under way: {waiting} {running} {busy}")


def _traffic(api: Api, account: Account, run_id: int) -> None:
    """Compare a traffic run's own numbers."""
    run = api.ask("GET", f"/traffic-runs/{run_id}")
    account.accepted[run["app"]] += run["accepted"]
    account.same("the traffic run", status=run["status"], wanted="finished")
    account.same("the traffic run's states", accepted=run["accepted"], states=sum(run["states"].values()))
    account.same("the traffic run's waiting deliveries", states=run["states"]["waiting"], wanted=0)


def _compare(api: Api, account: Account, receiver: Receiver, database: str) -> None:
    deliveries = list(_all(api))
    attempts, outcomes = _recorded(database)
    metrics = _fresh(api, deliveries)
    for name in APPS:
        own = [one for one in deliveries if one["app"] == name]
        numbers = sum(one["attempts"] for one in own)
        counted = {
            outcome: int(metrics[f'provider_mock_attempts_total{{app="{name}",outcome="{outcome.replace(" ", "_")}"}}'])
            for outcome in outcomes[name]
        }
        kinds = {
            kind: int(metrics[f'provider_mock_retries_total{{app="{name}",kind="{kind}"}}'])
            for kind in ("retry", "fault", "redelivery")
        }
        account.same(
            f"requests of {name}",
            receiver=receiver.seen[name],
            api=numbers,
            ledger=attempts[name],
            metrics=_total(metrics, "attempts_total", name),
        )
        account.same(f"outcomes of {name}", ledger=dict(outcomes[name]), metrics=counted)
        account.same(
            f"acknowledgements of {name}",
            attempts=outcomes[name]["acked"],
            times=int(metrics[f'provider_mock_ack_seconds_count{{app="{name}"}}']),
        )
        account.same(f"repeats of {name}", api=numbers - len(own), metrics=sum(kinds.values()))
        account.same(f"redeliveries of {name}", ordered=account.redelivered[name], metrics=kinds["redelivery"])
        account.same(
            f"deliveries of {name}",
            clients=account.accepted[name],
            api=len(own),
            metrics=int(metrics[f'provider_mock_accepted_total{{app="{name}"}}']),
        )
        states = Counter(one["state"] for one in own)
        account.same(
            f"states of {name}",
            api={state: states[state] for state in sorted(states)},
            metrics={state: _state(metrics, name, state) for state in sorted(states)},
        )
        parked = api.ask("GET", f"/apps/{name}/backlog?limit=1")["parked"]
        account.same(f"what is parked of {name}", api=states["parked"], backlog=parked)
    for one in random.Random(1).sample(deliveries, min(SAMPLE, len(deliveries))):
        shown = api.ask("GET", f"/deliveries/{one['id']}/attempts?limit=1000")["items"]
        account.same(f"attempts of delivery {one['id']}", delivery=one["attempts"], listed=len(shown))
        if not all(each["request"] and each["request"]["body"] is not None for each in shown):
            account.wrong.append(f"delivery {one['id']} has an attempt without its request")


def _all(api: Api) -> Iterator[dict[str, Any]]:
    after = ""
    while True:
        page = api.ask("GET", f"/deliveries?limit=1000{after}")
        yield from page["items"]
        if not page["next"]:
            return
        after = f"&cursor={page['next']}"


def _recorded(database: str) -> tuple[Counter[str], dict[str, Counter[str]]]:
    """Return what the ledger's rows say: attempts by application, and by outcome too."""
    delivery, attempt = models.delivery.c, models.attempt.c
    query = (
        select(delivery.app, attempt.outcome, func.count())
        .where(delivery.id == attempt.delivery_id)
        .group_by(delivery.app, attempt.outcome)
    )
    outcomes: dict[str, Counter[str]] = {name: Counter() for name in APPS}
    with closing(LedgerReader(database)) as reader:
        for app, outcome, number in reader._rows(query):  # noqa: SLF001 - The rows themselves are counted.
            outcomes[app][outcome] += number
    return Counter({name: sum(found.values()) for name, found in outcomes.items()}), outcomes


def _fresh(api: Api, deliveries: list[dict[str, Any]]) -> dict[str, float]:
    """Return the metrics when the counts of deliveries, which can be some seconds old, are those of now."""
    until = time.monotonic() + 30
    while True:
        metrics = api.metrics()
        shown = sum(value for name, value in metrics.items() if name.startswith("provider_mock_deliveries{"))
        waiting = sum(_state(metrics, name, "waiting") for name in APPS)
        if (shown == len(deliveries) and not waiting) or time.monotonic() > until:
            return metrics
        threading.Event().wait(0.5)


def _total(metrics: dict[str, float], name: str, app: str) -> int:
    """Return an application's attempts that were requests, of all outcomes."""
    start = f'provider_mock_{name}{{app="{app}",'
    return int(sum(value for key, value in metrics.items() if key.startswith(start) and "not_sent" not in key))


def _state(metrics: dict[str, float], app: str, state: str) -> int:
    return int(metrics[f'provider_mock_deliveries{{app="{app}",state="{state}"}}'])


def _megabytes(server: Running) -> int:
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) // 1024


def main() -> int:
    """Run it, print what was counted, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--rate", type=float, default=RATE, help="deliveries accepted per second")
    parser.add_argument("--database", help="URL of the ledger; the default is a new SQLite file")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    account = soak(options.seconds, rate=options.rate, database=options.database, seed=options.seed)
    again = sum(account.redelivered.values())
    print(f"{sum(account.accepted.values())} accepted, {account.repeated} calls repeated, {again} redelivered")
    print(f"memory: {account.rss[0]} MB at the begin, {max(account.rss)} MB at most, {account.rss[-1]} MB in the end")
    for line in account.wrong[:50]:
        print(f"wrong: {line}")
    print("the counts differ" if account.wrong else "all counts agree")
    return 1 if account.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
