"""Talks to a running server on behalf of a command. Its errors are one line with the fix."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click
from im_callback.provider_mock.commands.shared import typed

DEFAULT = "http://127.0.0.1:8600"


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
        from im_callback.provider_mock.client import MockServer

        self._token_from = "PROVIDER_MOCK_TOKEN" if token_file is None else f"--token-file {token_file}"
        token = (os.environ.get("PROVIDER_MOCK_TOKEN") if token_file is None else _read(token_file)) or None
        if token is not None and not (token.isascii() and token.isprintable()):
            raise typed.Wrong(
                f"the token of {self._token_from} is no printable ASCII; give the one that the server was started with"
            )
        self._server, self._has_token = MockServer(url, token), token is not None
        self._url = self._server.url

    def get(self, path: str, **parameters: Any) -> Any:
        """Return what is at a path below `/api/v1`."""
        return self._asked("GET", path, **parameters)

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """Return the answer to a body."""
        return self._asked("POST", path, body)

    def pages(self, path: str, limit: int) -> Iterator[Any]:
        """Return up to `limit` items of a list, read page by page."""
        from im_callback.provider_mock.client import pages

        return pages(self.get, path, limit)

    def _asked(self, method: str, path: str, body: Mapping[str, Any] | None = None, **parameters: Any) -> Any:
        import requests
        from im_callback.provider_mock.client import PATIENCE, Refused

        try:
            answer = self._server.ask(method, path, body, **parameters)
        except Refused as error:
            raise self._refused(error.status, error.answer) from None
        except requests.Timeout:
            raise typed.Wrong(f"the server at {self._url} did not answer within {PATIENCE:g} s; see its log") from None
        except requests.ConnectionError:
            raise typed.Wrong(
                f"no server answers at {self._url}; start it with: provider-mock serve, or {self._other()}"
            ) from None
        except requests.RequestException as error:
            raise typed.fail(error) from None
        if answer is None:
            raise self._refused(204, None)
        return answer

    def _other(self) -> str:
        """Return how to name another server, which may have been done."""
        return "name another with --server" if self._url == DEFAULT else "correct its address"

    def _refused(self, status: int, answer: Mapping[str, Any] | None) -> typed.Wrong:
        if status == 401 and self._has_token:
            expired = "has expired" in (answer or {}).get("detail", "")
            why = ": it has expired; ask for a new one" if expired else "; give the one it was started with"
            return typed.Wrong(f"the server at {self._url} refuses the token of {self._token_from}{why}")
        if status == 401:
            return typed.Wrong(
                f"the server at {self._url} wants its token; give --token-file FILE, or set PROVIDER_MOCK_TOKEN"
            )
        if answer is None:
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
