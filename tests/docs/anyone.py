"""The receiver that pages speak of: the good one of the examples, with all providers at one address, `/callbacks`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from waitress import create_server

sys.path.insert(0, str(Path(__file__).parents[2] / "examples" / "flask_receiver"))

import receiver

port, database = sys.argv[1:]
receiver.credentials.update(receiver.TEST_CREDENTIALS)
application = receiver.application(receiver.Store(database), test_mode=True)


def at_one_address(environ: dict[str, Any], start_response: Any) -> Any:
    """Find out by the request whose it is."""
    if environ["PATH_INFO"] == "/callbacks":
        query = environ["QUERY_STRING"]
        provider = "rongcloud" if "signature=" in query else "tencent" if "SdkAppid=" in query else "commsease"
        environ["PATH_INFO"] = f"/{provider}"
    return application(environ, start_response)


server = create_server(at_one_address, host="127.0.0.1", port=int(port), threads=8, connection_limit=500)
print("listening", flush=True)
server.run()
