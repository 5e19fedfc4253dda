"""Adding a certificate to the text of a PEM file, and removing it again. Pure."""

from registry.clients.edits import Document
from registry.settings.toml_statements import end_line


def parse(text: str) -> Document:
    """Return nothing: a file of certificates has no settings."""
    del text
    return {}


def add_certificate(text: str, certificate: str) -> str:
    """Return the text with a certificate at its end, if it is not there yet."""
    return text if certificate in text else end_line(text) + certificate


def remove_certificate(text: str, certificate: str) -> str:
    """Return the text without a certificate."""
    return text.replace(certificate, "", 1)
