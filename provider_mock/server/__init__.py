"""The standalone mock: the service behind the HTTP API, and what serves it."""
