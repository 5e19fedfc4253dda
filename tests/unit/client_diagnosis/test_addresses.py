"""Laws of whether an address in a file leads to the mirror."""

import pytest

from registry.clients.diagnosis.cause import is_mirror, is_other_scheme
from registry.clients.mirror import parse_mirror


@pytest.mark.parametrize(
    ("mirror", "text", "leads"),
    [
        ("http://10.0.0.5:5000", "http://10.0.0.5:5000", True),
        ("http://10.0.0.5:5000", "http://10.0.0.5:5000/", True),
        ("http://10.0.0.5:5000", "http://10.0.0.5:5000/t/ent_a_b/", True),
        ("http://10.0.0.5:5000", "10.0.0.5:5000", True),
        ("http://10.0.0.5:5000", "http://10.0.0.5", False),
        ("http://10.0.0.5:5000", "http://10.0.0.50:5000", False),
        ("http://10.0.0.5", "http://10.0.0.5:80", True),
        ("https://Mirror.lan", "https://mirror.lan:443", True),
        ("http://127.0.0.1:5000", "http://localhost:5000", True),
        ("http://127.0.0.1:5000", "https://127.0.0.1:5000", False),
        ("http://127.0.0.1:5000", "http://127.0.0.1:port", False),
        ("http://127.0.0.1:5000", "", False),
    ],
)
def test_what_leads_to_the_mirror(mirror: str, text: str, leads: bool) -> None:
    """Host and port count, a path does not, and all addresses of this machine are the same."""
    assert is_mirror(text, parse_mirror(mirror, [])) == leads


def test_the_other_scheme_is_known() -> None:
    """A client that speaks TLS to a mirror without it, or the other way round."""
    mirror = parse_mirror("http://10.0.0.5:5000", [])
    assert is_other_scheme("https://10.0.0.5:5000", mirror)
    assert not is_other_scheme("http://10.0.0.5:5000", mirror)
    assert not is_other_scheme("10.0.0.5:5000", mirror)
