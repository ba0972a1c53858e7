"""Between a request of a provider's SDK and the server API that is played for it."""

from __future__ import annotations

import json

from flask import Response, request
from im_callback.provider_mock.contract import ApiRequest
from im_callback.provider_mock.server import audit
from im_callback.provider_mock.server.api.operation import JSON
from im_callback.provider_mock.server.service import Service


def called(service: Service) -> Response | None:
    """Return the answer to the request; None if its path is no provider's."""
    headers = {name.lower(): value for name, value in request.headers.items()}
    found = ApiRequest(request.method, request.path, request.args.to_dict(), headers, request.get_data())
    played = service.server_apis.answer(found)
    if played is None:
        return None
    answer, entry = played.answer, audit.current()
    entry.changes, entry.operation = played.changes, request.path
    entry.concerned = {} if played.app is None else {"app": played.app}
    text = json.dumps(answer.body, ensure_ascii=False, separators=(",", ":"))
    return Response(text, answer.status, content_type=JSON)
