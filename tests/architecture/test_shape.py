"""Laws of the shape: how many rooms there are, and how many imports lead from one to another.

Decision record 0057 says why these are the numbers.
"""

from tests.architecture.source import find_imports, read_sources

MAX_ROOMS = 23  # files and folders directly below `registry/`, and `registry` itself
MAX_ARROWS = 103  # pairs of these of which one imports the other
MAX_BETWEEN_ROOMS = 52  # pairs of rooms that answer a question, as docs/architecture.md draws them

# What every room may use, like a library. These import no room that answers a question.
FOUNDATIONS = frozenset({"errors", "oci", "logs", "metrics", "tasks"})
PACKAGE = frozenset({"registry", "__main__"})  # the version, and how the program is started


def room_of(module: str) -> str:
    """Return the room of a module of ours: what stands directly below `registry/`."""
    return module.split(".")[1] if "." in module else "registry"


def list_arrows() -> set[tuple[str, str]]:
    """Return each pair of rooms of which the first imports the second.

    `logs` does not count as the second: like a library, nearly every room writes to it.
    """
    return {
        (room_of(found.importer), room_of(found.module))
        for source in read_sources("registry")
        for found in find_imports(source)
        if found.module.split(".")[0] == "registry"
        and room_of(found.module) not in (room_of(found.importer), "logs")
    }


def test_rooms_are_few() -> None:
    """A person can hold the names of all rooms in mind."""
    rooms = {room_of(source.module) for source in read_sources("registry")}

    assert len(rooms) <= MAX_ROOMS, sorted(rooms)


def test_arrows_are_few() -> None:
    """A room that imports another is an exception that the table allows, not a habit."""
    arrows = list_arrows()

    assert len(arrows) <= MAX_ARROWS, sorted(arrows)


def test_arrows_between_rooms_are_few() -> None:
    """Whoever changes a room looks at few others: those that import it."""
    arrows = {pair for pair in list_arrows() if not (FOUNDATIONS | PACKAGE).intersection(pair)}

    assert len(arrows) <= MAX_BETWEEN_ROOMS, sorted(arrows)


def test_foundations_stand_below_all_rooms() -> None:
    """What every room may import needs no room itself, so that it is no way from one to another."""
    upwards = {pair for pair in list_arrows() if pair[0] in FOUNDATIONS} - {
        (first, second) for first in FOUNDATIONS for second in FOUNDATIONS
    }

    assert upwards == set()
