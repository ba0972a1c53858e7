"""A receiver for two callback services of CommsEase.

They are data-sync (/data-sync), and third-party callbacks (/third-party), whose answer decides. A request is verified,
stored and answered, in this order. Run it with `uvicorn receiver:app`.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import sqlite3
import threading
import time
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse

LARGEST_BODY = 2**20
OLDEST = 3600  # seconds; our own limit: widen it if a backlog may reach you with its old CurTime
APP_KEY = os.environ["COMMSEASE_APP_KEY"]
APP_SECRET = os.environ["COMMSEASE_APP_SECRET"]
BLOCKED = os.environ.get("BLOCKED_WORDS", "casino").split(",")


# Is it from CommsEase?


async def raw(request: Request) -> bytes:
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > LARGEST_BODY:
            raise HTTPException(413)
    return bytes(body)


def verified(request: Request, body: Annotated[bytes, Depends(raw)]) -> bytes:
    """The body, if CheckSum is sha1(AppSecret + MD5 + CurTime) with the MD5 of its raw bytes (Data Sync Overview)."""

    def once(name: str) -> str:
        values = request.headers.getlist(name)
        return values[0] if len(values) == 1 else ""

    def same(given: str, expected: str) -> bool:
        return hmac.compare_digest(given.encode(), expected.encode())

    md5, stamp = hashlib.md5(body).hexdigest(), once("CurTime")
    checksum = hashlib.sha1((APP_SECRET + md5 + stamp).encode()).hexdigest()
    recent = stamp.isascii() and stamp.isdigit() and abs(int(stamp) / 1000 - time.time()) <= OLDEST
    if not (same(once("AppKey"), APP_KEY) and same(once("MD5"), md5) and same(once("CheckSum"), checksum) and recent):
        raise HTTPException(401)  # neither 200 nor 500: data-sync takes both for an acknowledgement
    return body


class Event:
    """A payload, read without trust: any field may be missing, and numbers come as texts too."""

    def __init__(self, body: Annotated[bytes, Depends(verified)]) -> None:
        try:
            self.payload = body.decode()
            self.fields: dict[str, Any] = json.loads(
                self.payload, parse_constant=self._refused, object_pairs_hook=self._unique
            )
            if not isinstance(self.fields, dict):
                raise ValueError("no object")  # noqa: TRY004 - The same to whoever sent it.
        except (ValueError, RecursionError):
            raise HTTPException(400, "not a JSON object") from None

    def text(self, name: str) -> str:
        value = self.fields.get(name)
        if isinstance(value, (dict, list)):
            raise HTTPException(400, f"{name} is no text")
        whole = isinstance(value, float) and value.is_integer()  # 1.0 and 1 are one number
        return "" if value is None else str(int(value) if whole else value)

    def number(self, name: str) -> int:
        try:
            return int(self.text(name))
        except ValueError:
            raise HTTPException(400, f"{name} is no number") from None

    def key(self, *names: str) -> str:
        return json.dumps([self.text(name) for name in names])

    @staticmethod
    def _refused(what: str) -> None:
        raise ValueError(what)

    @staticmethod
    def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(found := dict(pairs)) < len(pairs):
            raise ValueError("a key appears twice")
        return found


# What is kept. The database decides what is new and what is newer.

database = sqlite3.connect(os.environ.get("DATABASE", "receiver.db"), timeout=2, check_same_thread=False)
database.executescript("""
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;  -- what is acknowledged is never sent again: it must survive a power cut
    CREATE TABLE IF NOT EXISTS message (identity TEXT PRIMARY KEY, at INTEGER, payload TEXT);
    CREATE TABLE IF NOT EXISTS presence (account TEXT PRIMARY KEY, at INTEGER, payload TEXT);
    CREATE TABLE IF NOT EXISTS question (identity TEXT PRIMARY KEY, refused INTEGER, payload TEXT);
""")
one_at_a_time = threading.Lock()


def store(statement: str, *values: object) -> None:
    with one_at_a_time, database:
        database.execute(statement, values)


# HTTP

app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)


@app.exception_handler(Exception)
def unexpected(request: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"detail": "try again"}, 503)  # never 500; the traceback is logged all the same


@app.post("/data-sync")
def data_sync(event: Annotated[Event, Depends()]) -> None:
    match event.text("eventType"):
        case "1":
            store(
                "INSERT INTO message VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                event.key("convType", "msgidServer"),
                event.number("msgTimestamp"),
                event.payload,
            )
        case "2" | "3":  # logins and logouts overtake each other: of two, the older timestamp does not count
            store(
                "INSERT INTO presence VALUES (?, ?, ?) ON CONFLICT DO UPDATE"
                " SET at = excluded.at, payload = excluded.payload WHERE excluded.at > at",
                event.text("accid"),
                event.number("timestamp"),
                event.payload,
            )
        # What else there is is nothing to us, and acknowledged.


@app.post("/third-party")
def third_party(event: Annotated[Event, Depends()]) -> dict[str, int]:
    """What is asked about messages is answered by their text alone, so that the same question has the same answer."""
    if event.text("eventType") not in {"1", "2", "6"}:  # messages to somebody, to a team, in a chat room
        return {"errCode": 0}
    refused = any(word in event.text("body") for word in BLOCKED)
    store(
        "INSERT INTO question VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
        event.key("eventType", "fromAccount", "to", "msgidClient", "msgTimestamp"),
        refused,
        event.payload,
    )
    return {"errCode": int(refused)}
