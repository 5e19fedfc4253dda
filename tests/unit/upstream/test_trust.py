"""The certificates of the system's authorities: read once, shared, and read again on a reload."""

import subprocess
import sys

from registry.upstream.trust import trust_system
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


def test_aiohttp_reads_no_certificates() -> None:
    """It would read them a second time, for requests that are never made."""
    code = """
import ssl
original = ssl.create_default_context
from registry.upstream.trust import import_aiohttp
import_aiohttp()
from aiohttp.connector import _SSL_CONTEXT_VERIFIED as context
assert ssl.create_default_context is original
print(context.cert_store_stats()["x509"], context.verify_mode.name, context.check_hostname)
"""
    said = subprocess.check_output([sys.executable, "-c", code], text=True)
    assert said.split() == ["0", "CERT_REQUIRED", "True"]
