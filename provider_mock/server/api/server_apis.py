"""Between a request of a provider's SDK and the server API that is played for it."""

from __future__ import annotations

import json

from flask import Response, request
from im_callback.provider_mock.contract import ApiRequest
from im_callback.provider_mock.server.api.operation import JSON
from im_callback.provider_mock.server.service import Service


def called(service: Service) -> Response | None:
    """Return the answer to the request; None if its path is no provider's."""
    headers = {name.lower(): value for name, value in request.headers.items()}
    found = ApiRequest(request.method, request.path, request.args.to_dict(), headers, request.get_data())
    answer = service.server_apis.answer(found)
    if answer is None:
        return None
    text = json.dumps(answer.body, ensure_ascii=False, separators=(",", ":"))
    return Response(text, answer.status, content_type=JSON)
