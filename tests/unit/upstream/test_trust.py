"""The certificates of the system's authorities: read once, shared, and read again on a reload."""

from registry.upstream.client import trust_system
from registry.wiring.services import preload_libraries, reload_certificates


def test_certificates_are_read_before_the_fork() -> None:
    """What a process has preloaded, its children find."""
    trust_system.cache_clear()
    preload_libraries()
    assert trust_system.cache_info().currsize == 1


def test_a_reload_reads_the_certificates_again() -> None:
    """Workers that start after a reload trust what the system trusts then."""
    before = trust_system()
    assert trust_system() is before
    reload_certificates()
    assert trust_system() is not before
