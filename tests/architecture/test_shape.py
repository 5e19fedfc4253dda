"""Laws of the shape: how many rooms there are, and how many imports lead from one to another."""

from tests.architecture.source import find_imports, read_sources

MAX_ROOMS = 23  # files and folders directly below `registry/`, and `registry` itself
MAX_ARROWS = 104  # pairs of rooms of which one imports the other


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
