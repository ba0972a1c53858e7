"""A process that accepts without end and prints each id once `accept` has returned it, until it is killed."""

from __future__ import annotations

import os
import sys
import threading

from im_callback.provider_mock.delivery.ledger import Ledger

from tests.provider_mock_ledger.values import done, new


def main(url: str) -> None:
    """Accept with several threads; record an attempt for every other delivery."""
    ledger = Ledger(url)

    def work(thread: int) -> None:
        number = 0
        while True:
            number += 1
            batch = [new(key=f"{os.getpid()}-{thread}-{number}-{n}", text="x" * 300) for n in range(1 + number % 7)]
            ids = ledger.accept(batch)
            os.write(1, "".join(f"{delivery_id}\n" for delivery_id in ids).encode())
            for delivery_id in ids[::2]:
                ledger.record([done(delivery_id)])

    for thread in range(4):
        threading.Thread(target=work, args=(thread,)).start()


if __name__ == "__main__":
    main(sys.argv[1])
