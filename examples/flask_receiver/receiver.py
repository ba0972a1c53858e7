"""A receiver for the callbacks of CommsEase (NetEase), RongCloud and Tencent Chat.

A request is verified, stored and acknowledged; a thread behind it does the work, because the
providers wait two to five seconds and no longer.
Copy this file, drop the providers you do not use, and put your own work where `Store.apply` is.
"""

from __future__ import annotations

import argparse
import hashlib
import hmac
import json
import logging
import math
import os
import signal
import sqlite3
import sys
import threading
import time
from typing import NamedTuple

from flask import Flask, Response, abort, request
from waitress import create_server
from werkzeug.exceptions import HTTPException

LARGEST_BODY = 8 * 2**20  # no maximum is documented; 500 RongCloud values of 4,096 characters take 6 MiB
TENCENT_OK = '{"ActionStatus":"OK","ErrorInfo":"","ErrorCode":0}'
TEST_CREDENTIALS = {  # the environment variables, and what they default to with --test-mode
    "COMMSEASE_APP_KEY": "test-key",
    "COMMSEASE_APP_SECRET": "test-secret",
    "RONGCLOUD_APP_KEY": "test-key",
    "RONGCLOUD_APP_SECRET": "test-secret",
    "TENCENT_SDK_APPID": "1400000001",
    "TENCENT_TOKEN": "test-token",
}
credentials: dict[str, str] = {}
log = logging.getLogger("receiver")


# What is one event, and what comes after what


class Kind(NamedTuple):
    stream: str  # what is shown together, in one order
    identity: tuple[str, ...] = ()  # two deliveries that agree in these are one event; none: keep every one
    order: tuple[str, ...] = ()  # compared in turn, as numbers
    scope: tuple[str, ...] = ()  # a state of this, where an older one must not win; none: a list, shown in order
    erases: bool = False  # ends the states of its scope and of everything within it
    each: str = ""  # the field that holds several events


CALL = Kind("call", ("channelId", "createtime", "running"))
PRESENCE = Kind("presence", ("accid", "clientType", "deviceId", "timestamp"), ("timestamp",), ("accid",))
RECALL = Kind("recall", ("msgId",))
KV = ("chatroomId", "key", "version", "optType")
C2C = ("From_Account", "To_Account", "MsgKey")  # batchsendmsg gives one MsgKey to up to 500 messages
KINDS = {
    "commsease": {  # by eventType
        "1": Kind("message", ("convType", "msgidServer"), ("msgTimestamp",)),
        "2": PRESENCE,  # logins and logouts overtake each other: of two, the older
        "3": PRESENCE,  # timestamp does not count (Other IM Message Delivery, 2)
        "4": Kind("chatroom-message", ("roomId", "msgidClient"), ("msgTimestamp",)),
        "5": CALL,
        "6": Kind("call-file", ("channelid", "filename"), each="fileinfo"),
        "7": RECALL,
        "8": RECALL,
        "9": Kind("room-presence", ("roomId", "accid", "event", "timestamp"), ("timestamp",), ("roomId", "accid")),
        "10": Kind("line-call", ("callback.session",)),
        "11": Kind("sms-receipt", ("sendid", "mobile"), each="objects"),
        "12": Kind("sms-uplink", ("mobile", "content", "replytime"), each="objects"),
        "14": Kind("room-queue"),  # carries no id: a repeat cannot be told from a second operation
        "20": Kind("antispam", ("type", "serverMsgId"), each="objects"),
        "21": CALL,
        "25": RECALL,
        "30": Kind("read-receipt", ("fromAccount", "toAccount", "msgidClient", "timestamp"), each="objects"),
        "31": Kind("signal", ("type", "channelId", "from", "to", "requestId", "timestamp")),
        "36": Kind("upload", ("type", "uploadInfo.sdkLogUrl")),
        "42": Kind("heartbeat", ("accid", "consid", "timestamp"), ("timestamp",), ("accid", "consid")),
    },
    "rongcloud": {  # by optType; version gives the order (Chatroom Attribute Synchronization)
        "1": Kind("attribute", KV, ("version",), ("chatroomId", "key")),
        "2": Kind("attribute", KV, ("version",), ("chatroomId", "key"), erases=True),
        "3": Kind("attribute", KV, ("version",), ("chatroomId",), erases=True),
    },
    "tencent": {  # by CallbackCommand; sorted by MsgTime, in the same second by MsgSeq (After a Message Is Sent)
        "C2C.CallbackAfterSendMsg": Kind("c2c", C2C, ("MsgTime", "MsgSeq")),
        "C2C.CallbackAfterMsgWithDraw": Kind("c2c-recall", C2C),
    },
}
KIND_FIELD = {"commsease": "eventType", "rongcloud": "optType", "tencent": "CallbackCommand"}


def rows_for(provider: str, body: bytes) -> list[dict[str, object]]:
    """The rows of the table `events` that a body stands for."""
    field, found = KIND_FIELD[provider], []
    for item in items(provider, body):
        code = text(item.get(field)) or ("10" if item.get("type") == "CALL" else "")  # the newer mark of line calls
        kind = KINDS[provider].get(code)
        # A type we do not know is nothing to us. Tencent also reports messages that it failed to send.
        if kind is None or text(item.get("SendMsgResult")) not in {None, "0"}:
            continue
        parts = unwrapped(look(item, kind.each)) if kind.each else None
        if isinstance(parts, list) and all(isinstance(part, dict) for part in parts):
            found += [row_for(provider, kind, {**part, field: item[field]}) for part in parts]
        else:
            found.append(row_for(provider, kind, item))
    return found


def row_for(provider: str, kind: Kind, item: dict) -> dict[str, object]:
    identity = [text(look(item, name)) for name in (KIND_FIELD[provider], *kind.identity)]
    if None in identity:  # any field may be missing; then only the whole payload tells two events apart
        identity.append(hashlib.sha256(json.dumps(item, sort_keys=True).encode()).hexdigest())
    order = [number(look(item, name)) for name in kind.order]
    scope = [provider, kind.stream, *(text(look(item, name)) for name in kind.scope)]
    state = bool(kind.scope) and None not in scope
    return {
        "provider": provider,
        "stream": kind.stream,
        "identity": json.dumps([provider, *identity]) if kind.identity else None,
        "scope": json.dumps(scope) if state else None,
        "parent": json.dumps(scope[:-1]) if state else None,  # the room of an attribute
        "at": order[0] if state else None,  # how new a state is
        "erases": kind.erases,
        "position": json.dumps([] if kind.scope else [[n is None, n or 0] for n in order]),  # where in a list
        "payload": json.dumps(item),
    }


def items(provider: str, body: bytes) -> list[dict]:
    """The objects in a body; ValueError or RecursionError if it is not what this provider sends."""
    document = parse(body.decode("utf-8"))
    # RongCloud's page speaks of an object, and its example is an array.
    found = document if provider == "rongcloud" and isinstance(document, list) else [document]
    objects = [item for item in found if isinstance(item, dict)]
    if found and not objects:
        raise ValueError("no JSON object")
    return objects


def parse(document: str) -> object:
    """JSON as its RFC has it: no NaN, no infinite number, no key twice."""
    return json.loads(document, parse_constant=refused, parse_float=finite, object_pairs_hook=unique)


def refused(what: str) -> float:
    raise ValueError(f"not JSON: {what}")


def finite(digits: str) -> float:
    value = float(digits)
    return value if math.isfinite(value) else refused(digits)


def unique(pairs: list[tuple[str, object]]) -> dict:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key appears twice")
    return found


def unwrapped(value: object) -> object:
    try:
        return parse(value) if isinstance(value, str) else value
    except (ValueError, RecursionError):
        return None


def look(item: object, path: str) -> object:
    """The value at a dotted path, through strings that hold JSON; None if there is none."""
    for name in path.split("."):
        inside = unwrapped(item)
        item = inside.get(name) if isinstance(inside, dict) else None
    return item


def text(value: object) -> str | None:
    """A value as text: the providers' own samples send one field now as a number, now as a string."""
    if value is None or isinstance(value, str):
        return value
    whole = isinstance(value, float) and value.is_integer()
    return json.dumps(int(value) if whole else value, sort_keys=True)


def number(value: object) -> int | None:
    try:
        found = int(text(value) or "")
    except ValueError:
        return None
    return found if abs(found) < 2**63 else None  # what SQLite can compare


# Is it from the provider?


def same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(), expected.encode())  # as bytes: it raises on non-ASCII strings


def once(name: str) -> str:
    """A query parameter; empty, which verifies nowhere, unless it is there exactly once."""
    values = request.args.getlist(name)
    return values[0] if len(values) == 1 else ""


def recent(stamp: str, per_second: int, seconds: int) -> bool:
    digits = stamp.isascii() and stamp.isdigit() and len(stamp) < 20
    return digits and abs(int(stamp) // per_second - int(time.time())) <= seconds


def from_commsease(body: bytes) -> bool:
    """Verify CheckSum = sha1(AppSecret + MD5 + CurTime), MD5 of the body (Data Sync Overview)."""
    # A header sent twice arrives here as one, joined by a comma, and does not verify.
    key, md5, stamp, checksum = (request.headers.get(name, "") for name in ("AppKey", "MD5", "CurTime", "CheckSum"))
    ours = hashlib.md5(body).hexdigest()  # of the bytes: parsing and printing them again would change them
    signed = credentials["COMMSEASE_APP_SECRET"] + ours + stamp
    return (
        same(key, credentials["COMMSEASE_APP_KEY"])
        and same(md5, ours)
        and same(checksum, hashlib.sha1(signed.encode()).hexdigest())
        and recent(stamp, 1000, 3600)  # our own limit; widen it if a backlog reaches you with its old CurTime
    )


def from_rongcloud(_body: bytes) -> bool:
    """Verify signature = sha1(AppSecret + nonce + timestamp) (Server Callback Signature); the body is not covered."""
    stamp = once("timestamp" if "timestamp" in request.args else "signTimestamp")  # its name until 2021
    nonce = once("nonce")
    signed = credentials["RONGCLOUD_APP_SECRET"] + nonce + stamp
    return (
        same(once("appKey"), credentials["RONGCLOUD_APP_KEY"])
        and same(once("signature"), hashlib.sha1(signed.encode()).hexdigest())
        and nonce != ""
        and recent(stamp, 1000, 3600)  # our own limit; network trouble delays a delivery by five minutes
    )


def from_tencent(_body: bytes) -> bool:
    """Verify Sign = sha256(Token + RequestTime), invalid after a minute (webhook authentication); body not covered."""
    stamp = once("RequestTime")
    signed = credentials["TENCENT_TOKEN"] + stamp
    return (
        same(once("SdkAppid"), credentials["TENCENT_SDK_APPID"])
        and same(once("Sign"), hashlib.sha256(signed.encode()).hexdigest())
        and recent(stamp, 1, 60)
    )


VERIFY = {"commsease": from_commsease, "rongcloud": from_rongcloud, "tencent": from_tencent}


# What is kept


class Store:
    """The inbox of what was acknowledged, and the events made of it.

    All threads share one connection under one lock: SQLite lets one writer in at a time anyway, and with
    a connection each they would have to cope with "database is locked".
    """

    def __init__(self, path: str) -> None:
        self.db = sqlite3.connect(path, timeout=1, check_same_thread=False)
        self.db.executescript("""
            PRAGMA journal_mode = WAL;
            PRAGMA synchronous = FULL;  -- what is acknowledged is never sent again: it must survive a power cut
            CREATE TABLE IF NOT EXISTS inbox (
                id INTEGER PRIMARY KEY AUTOINCREMENT, provider TEXT, body BLOB, failed INTEGER DEFAULT 0);
            CREATE TABLE IF NOT EXISTS events (
                id INTEGER PRIMARY KEY, shown INTEGER, provider TEXT, stream TEXT, identity TEXT UNIQUE,
                scope TEXT, parent TEXT, at INTEGER, erases INTEGER, position TEXT, payload TEXT);
            CREATE INDEX IF NOT EXISTS by_scope ON events (scope, at);
            CREATE INDEX IF NOT EXISTS by_parent ON events (parent, at);
        """)
        self.changed = threading.Condition()
        self.closing = False
        self.worker = threading.Thread(target=self.work, daemon=True)
        self.worker.start()  # goes on with what the last process left

    def accept(self, provider: str, body: bytes) -> None:
        with self.changed, self.db:
            self.db.execute("INSERT INTO inbox (provider, body) VALUES (?, ?)", (provider, body))
            self.changed.notify_all()

    def waiting(self) -> list[tuple[int, str, bytes]]:
        return self.db.execute("SELECT id, provider, body FROM inbox WHERE NOT failed ORDER BY id LIMIT 20").fetchall()

    def work(self) -> None:
        while not self.closing:
            with self.changed:
                try:
                    with self.db:  # one transaction: applied and out of the inbox, or neither
                        for row in self.waiting():
                            self.take(*row)
                    self.changed.notify_all()
                    self.changed.wait_for(lambda: self.closing or self.waiting())
                except sqlite3.Error:
                    log.exception("the database failed; trying again")
                    self.changed.wait(1)

    def take(self, row: int, provider: str, body: bytes) -> None:
        try:
            found = rows_for(provider, body)
        except Exception:  # one bad row must not hold up those behind it; it stays for somebody to look at
            log.exception("inbox row %d cannot be applied", row)
            self.db.execute("UPDATE inbox SET failed = 1 WHERE id = ?", (row,))
            return
        for event in found:
            self.apply(event)
        self.db.execute("DELETE FROM inbox WHERE id = ?", (row,))

    def apply(self, event: dict[str, object]) -> None:
        # Of a set and an erasure with one version the erasure wins, in either order of arrival.
        stale = self.db.execute(
            "SELECT 1 FROM events WHERE scope IN (:scope, :parent) AND at >= :at AND (at > :at OR erases)", event
        ).fetchone()
        # What is not shown is kept all the same: an erasure outlives late events, an identity its repeats.
        added = self.db.execute(
            "INSERT OR IGNORE INTO events VALUES (NULL, :shown, :provider, :stream, :identity,"
            " :scope, :parent, :at, :erases, :position, :payload)",
            {**event, "shown": not (stale or event["erases"])},
        ).rowcount
        if added and event["erases"]:
            self.db.execute(
                "UPDATE events SET shown = 0 WHERE (scope = :scope OR parent = :scope)"
                " AND (at <= :at OR at IS NULL OR :at IS NULL)",
                event,
            )

    def effects(self, provider: str | None) -> list[str]:
        """The payloads as the application shows them: lists in their own order, states as they came to be."""
        with self.changed:
            self.changed.wait_for(lambda: not self.waiting(), timeout=2)
            rows = self.db.execute(
                "SELECT stream, position, id, payload FROM events WHERE shown AND provider = ifnull(?, provider)",
                (provider,),
            ).fetchall()
        rows.sort(key=lambda row: (row[0], json.loads(row[1]), row[2]))
        return [row[-1] for row in rows]

    def close(self) -> None:
        with self.changed:
            self.closing = True
            self.changed.notify_all()
        self.worker.join()
        self.db.close()


# HTTP


def application(store: Store, *, test_mode: bool) -> Flask:
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = LARGEST_BODY

    @app.post("/<any(commsease, rongcloud, tencent):provider>")
    def receive(provider: str) -> Response:
        body = request.get_data(cache=False)  # whatever the Content-Type: Tencent documents none
        if not VERIFY[provider](body):
            abort(401)  # answered with 200, a refusal would be an acknowledgement
        try:
            found = items(provider, body)
        except (ValueError, RecursionError):
            abort(400)
        if provider == "tencent":  # URL and body are not signed; they must at least agree
            if any(command != found[0].get("CallbackCommand") for command in request.args.getlist("CallbackCommand")):
                abort(400)
            if any(given.lower() != "json" for given in request.args.getlist("contenttype")):
                abort(400)
        store.accept(provider, body)
        return Response(TENCENT_OK if provider == "tencent" else "", mimetype="application/json")

    @app.errorhandler(Exception)
    def unexpected(error: Exception) -> HTTPException | tuple[str, int]:
        if isinstance(error, HTTPException):
            return error
        log.exception("not acknowledged")
        return "", 503  # CommsEase takes 500 for an acknowledgement too (Data Sync Overview): never 500

    if test_mode:

        @app.get("/effects")
        def effects() -> Response:
            return Response(f"[{','.join(store.effects(request.args.get('provider')))}]", mimetype="application/json")

    return app


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=8080, help="0: any free port")
    parser.add_argument("--database", default="receiver.db", help="an SQLite file")
    parser.add_argument("--test-mode", action="store_true", help="test credentials by default, and GET /effects")
    options = parser.parse_args()
    for name, default in TEST_CREDENTIALS.items():
        credentials[name] = os.environ.get(name, default if options.test_mode else "")
        if not credentials[name]:
            parser.error(f"{name} is not set; with an empty secret anybody could sign (to try it: --test-mode)")
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # no warning for every request of a burst
    store = Store(options.database)
    app = application(store, test_mode=options.test_mode)
    # waitress hands over whole requests only: one that is slow or cut off costs no thread and has no effect.
    waitress = {"threads": 8, "connection_limit": 500, "max_request_body_size": 2 * LARGEST_BODY}
    server = create_server(app, host="127.0.0.1", port=options.port, **waitress)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    print(f"listening on http://127.0.0.1:{server.effective_port}", flush=True)
    server.run()
    server.close()
    store.close()


if __name__ == "__main__":
    main()
