"""What goes wrong with a server: which request suffers which fault is chosen by a seed."""

import enum
import random
from dataclasses import dataclass

_WRONG_BYTES = 16


class Fault(enum.Enum):
    """What happens to one request; the value is how a log would call it."""

    RESET = "connection reset"
    ERROR = "500"
    UNAVAILABLE = "503 with Retry-After"
    TOO_MANY = "429 with Retry-After"
    STALL = "half of the body, then nothing"
    TRUNCATION = "half of the body, then the end"
    WRONG_BYTES = "other bytes in the body"


#: The answers among the faults.
STATUS = {Fault.ERROR: 500, Fault.UNAVAILABLE: 503, Fault.TOO_MANY: 429}


@dataclass(frozen=True)
class Faults:
    """Faults for a share of all requests.

    The choice follows from the seed, the request and how often it was made, and so not from the
    order in which the requests of several threads arrive.

    Attributes:
      share: of the requests, in [0, 1].
      seed: of the choice.
      kinds: each is as likely as any other.
      retry_after: the header of 429 and 503.
      stall_sec: how long a stall lasts; longer than clients wait.
    """

    share: float
    seed: int = 0
    kinds: tuple[Fault, ...] = tuple(Fault)
    retry_after: str = "0"
    stall_sec: float = 60.0

    def choose(self, request: str, times: int) -> Fault | None:
        """Returns the fault of `request`, made for the `times`-th time; None if it has none."""
        choice = self._random(request, times)
        return choice.choice(self.kinds) if choice.random() < self.share else None

    def damage(self, body: bytes, request: str, times: int) -> bytes:
        """Returns `body` with some bytes in a row changed, each of them."""
        choice = self._random(f"damage {request}", times)
        count = min(_WRONG_BYTES, len(body))
        start = choice.randrange(len(body) - count + 1)
        wrong = bytes(byte ^ choice.randrange(1, 256) for byte in body[start : start + count])
        return body[:start] + wrong + body[start + count :]

    def _random(self, request: str, times: int) -> random.Random:
        return random.Random(f"{self.seed} {request} {times}")
