"""The messages of clients that docs/troubleshooting.md quotes."""

from tests.clients.messages import MESSAGES, read_quotes


def test_each_quote_is_made_by_a_test() -> None:
    """`tests/clients/test_messages.py` lets real clients print each of them, and nothing else."""
    made = {message.text for message in MESSAGES}

    assert made
    assert made == set(read_quotes())
