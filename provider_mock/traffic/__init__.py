"""Where events come from: the documented samples, generated payloads, fresh identities."""
