"""Commands of `provider-mock` with a file of their own; the group and what all share is in `provider_mock.cli`."""
