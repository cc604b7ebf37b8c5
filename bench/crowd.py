"""What does a controller do besides, while something is measured?

It creates ports that somebody else asks for, so many a second and no faster: the requests keep their pace whatever
the answers take.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final, Self

from bench.bed import PROJECT, Bed
from topologies.rest import Rest, RestError

_HANDS: Final = 4


class Crowd:
    """Creates ports as long as its block runs, bound to all hypervisors in turn; nothing is plugged.

    :param rate: ports per second.
    """

    def __init__(self, place: Bed, network: str, rate: float) -> None:
        self._place, self._network, self._rate = place, network, rate
        self._own = threading.local()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._seconds = 0.0
        self.took_ms: list[float] = []
        self.refused: list[str] = []

    @property
    def created(self) -> int:
        """How many there are by now."""
        return len(self.took_ms)

    @property
    def rate(self) -> float:
        """How many a second it came to."""
        return self.created / self._seconds if self._seconds else 0.0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _run(self) -> None:
        began = due = time.monotonic()
        waiting: list[Future[None]] = []
        with ThreadPoolExecutor(_HANDS) as hands:
            number = 0
            while not self._end.is_set():
                waiting.append(hands.submit(self._create, number))
                number += 1
                due += 1 / self._rate
                self._end.wait(max(0.0, due - time.monotonic()))
            for each in waiting:
                each.cancel()
        self._seconds = time.monotonic() - began

    def _create(self, number: int) -> None:
        hosts = self._place.hosts
        wish: dict[str, Any] = {"network_id": self._network, "project_id": PROJECT, "name": f"crowd{number}"}
        wish["binding:host_id"] = hosts[number % len(hosts)]
        began = time.monotonic()
        try:
            self._rest.ask("POST", "/v2.0/ports", {"port": wish})
        except RestError as wrong:
            self.refused.append(str(wrong))
        else:
            self.took_ms.append((time.monotonic() - began) * 1e3)

    @property
    def _rest(self) -> Rest:
        """This thread's own connection."""
        rest: Rest | None = getattr(self._own, "rest", None)
        if rest is None:
            rest = self._own.rest = self._place.lab.rest()
        return rest
