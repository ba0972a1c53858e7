"""`python -m im_callback.provider_mock` is the command `provider-mock`."""

from im_callback.provider_mock.cli import entry

if __name__ == "__main__":
    entry()
