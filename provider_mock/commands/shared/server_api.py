"""Talks to a running server on behalf of a command. Its errors are one line with the fix."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click
from im_callback.provider_mock.commands.shared import typed

PATIENCE = 60.0
"""Seconds that an answer can take."""
DEFAULT = "http://127.0.0.1:8600"
_MOST = 1000
"""What a page has at most."""


def server_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --server and --token-file."""
    command = click.option(
        "--token-file",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Holds the server's token; else PROVIDER_MOCK_TOKEN.",
    )(command)
    return click.option(
        "--server",
        type=typed.endpoint,
        envvar="PROVIDER_MOCK_SERVER",
        default=DEFAULT,
        show_default=True,
        metavar="URL",
        help="Where the server listens; also PROVIDER_MOCK_SERVER.",
    )(command)


class ServerApi:
    """The API of the server at a URL, with the token of a file or of PROVIDER_MOCK_TOKEN. Every method raises `typed.Wrong`."""

    def __init__(self, url: str, token_file: Path | None) -> None:
        import requests

        self._url = url.rstrip("/")
        self._token_from = "PROVIDER_MOCK_TOKEN" if token_file is None else f"--token-file {token_file}"
        self._session = requests.Session()
        # Neither a proxy nor other credentials of the environment.
        self._session.trust_env = False
        if token := os.environ.get("PROVIDER_MOCK_TOKEN") if token_file is None else _read(token_file):
            if not (token.isascii() and token.isprintable()):
                raise typed.Wrong(
                    f"the token of {self._token_from} is no printable ASCII; give the one that the server was started with"
                )
            self._session.headers["Authorization"] = f"Bearer {token}"

    def get(self, path: str, **parameters: Any) -> Any:
        """Return what is at a path below `/api/v1`."""
        return self._asked("GET", path, params=parameters)

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """Return the answer to a body."""
        return self._asked("POST", path, json=body)

    def pages(self, path: str, limit: int) -> Iterator[Any]:
        """Yield up to `limit` items of a list, page by page."""
        parameters: dict[str, Any] = {}
        while limit > 0:
            page = self.get(path, limit=min(limit, _MOST), **parameters)
            yield from page["items"]
            limit -= len(page["items"])
            if page["next"] is None:
                return
            parameters["cursor"] = page["next"]

    def _asked(self, method: str, path: str, **what: Any) -> Any:
        import requests

        try:
            response = self._session.request(
                method, f"{self._url}/api/v1{path}", timeout=PATIENCE, allow_redirects=False, **what
            )
        except requests.Timeout:
            raise typed.Wrong(f"the server at {self._url} did not answer within {PATIENCE:g} s; see its log") from None
        except requests.ConnectionError:
            raise typed.Wrong(
                f"no server answers at {self._url}; start it with: provider-mock serve, or {self._other()}"
            ) from None
        except requests.RequestException as error:
            raise typed.fail(error) from None
        try:
            answer = response.json()
        except ValueError:
            answer = None
        if response.ok and answer is not None:
            return answer
        raise self._refused(response.status_code, answer)

    def _other(self) -> str:
        """Return how to name another server, which may have been done."""
        return "name another with --server" if self._url == DEFAULT else "correct its address"

    def _refused(self, status: int, answer: Any) -> typed.Wrong:
        if status == 401 and "Authorization" in self._session.headers:
            return typed.Wrong(
                f"the server at {self._url} refuses the token of {self._token_from}; give the one it was started with"
            )
        if status == 401:
            return typed.Wrong(
                f"the server at {self._url} wants its token; give --token-file FILE, or set PROVIDER_MOCK_TOKEN"
            )
        if not isinstance(answer, dict) or "detail" not in answer:
            return typed.Wrong(
                f"what answers at {self._url} is no server of provider-mock (status {status}); {self._other()}"
            )
        told = [f"{_option(each['field'])}{each['problem']}; {each['fix']}" for each in answer.get("errors", [])]
        return typed.Wrong("; ".join(told) or answer["detail"])


def _option(field: str) -> str:
    """Return what a field of a request is called on the command line, and a colon."""
    if option := re.fullmatch(r"/?(?:filter/)?([a-z_]+)", field):
        return f"--{option[1].replace('_', '-')}: "
    return f"{field}: " if field else ""


def _read(file: Path) -> str:
    try:
        text = file.read_text(encoding="utf-8-sig").strip()
    except (OSError, ValueError):
        raise typed.Wrong(f"--token-file {file} cannot be read; give a file with the server's token") from None
    if not text:
        raise typed.Wrong(f"--token-file {file} is empty; write the server's token into it")
    return text
