"""Receivers of a team's: they verify by their own code, keep what came, and decide by the words of a message."""

from __future__ import annotations

import hashlib
import json
import socket
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

REPLACED = "***"


@dataclass
class Receiver:
    """What came, in order: each request's query and decoded body; `bad` are those that were not signed well."""

    secret: str
    came: list[tuple[dict[str, str], Any]] = field(default_factory=list)
    bad: list[bytes] = field(default_factory=list)

    def __call__(self, connection: socket.socket, data: bytes) -> None:
        """Answer a request."""
        head, _, body = data.partition(b"\r\n\r\n")
        target = head.split(b" ", 2)[1].decode()
        query = {name: values[0] for name, values in parse_qs(urlsplit(target).query).items()}
        form = b"x-www-form-urlencoded" in head
        payload = {k: v[0] for k, v in parse_qs(body.decode()).items()} if form else json.loads(body)
        if not self.signed(query):
            self.bad.append(data)
        self.came.append((query, payload))
        text = json.dumps(self.answer(query, payload)).encode()
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(text), text))

    def signed(self, query: dict[str, str]) -> bool:
        """Return whether a request is signed."""
        raise NotImplementedError

    def answer(self, query: dict[str, str], payload: Any) -> dict[str, Any]:
        """Return what is answered."""
        raise NotImplementedError


class OfRongCloud(Receiver):
    """Refuses what holds `forbid`, changes what holds `change`."""

    def signed(self, query: dict[str, str]) -> bool:
        """Return whether the signature is sha1(secret + nonce + timestamp)."""
        text = self.secret + query["nonce"] + query["timestamp"]
        return query["signature"] == hashlib.sha1(text.encode()).hexdigest()

    def answer(self, query: dict[str, str], payload: Any) -> dict[str, Any]:
        """Return a decision about what is only about to be sent."""
        if not isinstance(payload, dict) or "messageId" not in payload:
            return {"code": 200}
        if "forbid" in payload["content"]:
            return {"pass": 0, "extra": "a word"}
        if "change" in payload["content"]:
            return {"pass": 1, "replaceContent": json.dumps({"content": REPLACED})}
        return {"pass": 1}


class OfTencent(Receiver):
    """Refuses what holds `forbid`, lets what holds `vanish` vanish, changes what holds `change`; Mallory joins nothing."""

    def signed(self, query: dict[str, str]) -> bool:
        """Return whether Sign is sha256(token + RequestTime)."""
        return query["Sign"] == hashlib.sha256((self.secret + query["RequestTime"]).encode()).hexdigest()

    def answer(self, query: dict[str, str], payload: Any) -> dict[str, Any]:
        """Return a decision about what is only about to be done."""
        fine = {"ActionStatus": "OK", "ErrorInfo": "", "ErrorCode": 0}
        if query["CallbackCommand"] == "Group.CallbackBeforeInviteJoinGroup":
            return {**fine, "RefusedMembers_Account": ["mallory"]}
        if query["CallbackCommand"] != "C2C.CallbackBeforeSendMsg":
            return fine
        words = payload["MsgBody"][0]["MsgContent"]["Text"]
        if words == "change":
            return {**fine, "MsgBody": [{"MsgType": "TIMTextElem", "MsgContent": {"Text": REPLACED}}]}
        return {**fine, "ErrorCode": {"forbid": 120_005, "vanish": 2}.get(words, 0), "ErrorInfo": "a word"}
