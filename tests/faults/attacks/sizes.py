"""How many connections each attack has."""

from types import MappingProxyType

FULL = MappingProxyType(
    {
        "dribbling heads": 1000,
        "non-readers": 1000,
        "idle": 5000,
        "handshakes left open": 2000,
        "random names": 50,
        "random digests": 50,
        "lists": 50,
        "many ranges": 20,
        "pipelining unread": 100,
        "endless bodies": 50,
        "wrong passwords": 50,
        "wrong passwords from many": 50,
        "token floods": 50,
        "guessed tokens": 50,
    }
)
DESCRIPTORS = (1024, 20_000)
SECONDS = 12.0  # seconds for which honest clients are measured
