"""A receiver of Tencent's webhooks, written from the documents alone: it knows nothing of the packages under test.

It checks the query and the signature, reads the body, and answers as the pages of the commands say.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

APP = "1400000001"
TOKEN = "test-token"
PLATFORMS = {"RESTAPI", "Web", "Android", "iOS", "IOS", "Windows", "Mac", "macOS", "iPad", "Unknown"}
OK = {"ActionStatus": "OK", "ErrorInfo": "", "ErrorCode": 0}
NO_PLATFORM = ("Push.", "ContentCallback.")
"""Services whose query has neither ClientIP nor OptPlatform."""


class Refused(Exception):
    """A request that is not the provider's."""


class Webhooks:
    """Takes webhooks of every service, with or without a token; what it took is in `taken`, by command."""

    def __init__(self, token: str | None = TOKEN) -> None:
        self.token = token
        self.taken: list[tuple[str, dict[str, Any]]] = []
        self.why: list[str] = []

    def take(self, query: list[tuple[str, str]], body: bytes) -> tuple[int, dict[str, Any]]:
        """Return status and answer for one request."""
        given = dict(query)
        try:
            if len(given) < len(query):
                raise Refused("a parameter is there twice")
            command = self._call(given) if "sdkappid" in given else self._webhook(given)
        except Refused as error:
            self.why.append(str(error))
            return 403, {}
        document = json.loads(body.decode("utf-8"))
        if not isinstance(document, dict):
            self.why.append("the body is no object")
            return 400, {}
        self.taken.append((command, document))
        return 200, answer(command, document)

    def _webhook(self, given: dict[str, str]) -> str:
        if given.get("SdkAppid", given.get("SdkAppId")) != APP:
            raise Refused(f"for another application: {given}")
        command = given.get("CallbackCommand", given.get("WebhookCommand", ""))
        if given.get("contenttype", "").lower() != "json" or not command:
            raise Refused(f"no contenttype or no command: {given}")
        if command.startswith(NO_PLATFORM):
            if {"ClientIP", "OptPlatform"} & set(given):
                raise Refused(f"{command} says where it comes from")
        elif given.get("OptPlatform") not in PLATFORMS or not given.get("ClientIP"):
            raise Refused(f"from nowhere: {given}")
        if self.token is None:
            if {"Sign", "RequestTime"} & set(given):
                raise Refused("signed without a token")
            return command
        moment = given.get("RequestTime", "")
        if hashlib.sha256((self.token + moment).encode()).hexdigest() != given.get("Sign"):
            raise Refused(f"{command}: wrong Sign")
        if abs(int(moment) - time.time()) > 60:
            raise Refused(f"{command}: from another time")
        return command

    def _call(self, given: dict[str, str]) -> str:
        if given != {**given, "sdkappid": APP, "contenttype": "json"} or "Sign" in given:
            raise Refused(f"no call of ours: {given}")
        if given.get("optplatform") not in {"iOS", "Android", "Web", "miniProgram"} or not given.get("clientip"):
            raise Refused(f"a call from nowhere: {given}")
        return given["command"]


def answer(command: str, document: dict[str, Any]) -> dict[str, Any]:
    """Return what the page of a command has as an answer that allows."""
    if command.startswith("Sns.CallbackPrev"):
        asked = document.get("FriendItem") or document.get("ResponseFriendItem") or []
        results = [{"To_Account": one["To_Account"], "ResultCode": 0, "ResultInfo": ""} for one in asked]
        return {**OK, "ResultItem": results}
    if command == "Chatbot.OnC2CSignalMessage":
        return {**OK, "RspData": "received"}
    return dict(OK)


@contextmanager
def listening(webhooks: Webhooks) -> Iterator[str]:
    """Yield the address at which the webhooks are taken."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            pairs = parse_qsl(urlsplit(self.path).query, keep_blank_values=True, strict_parsing=True)
            status, said = webhooks.take(pairs, body)
            text = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/im"
        finally:
            server.shutdown()
            thread.join()
