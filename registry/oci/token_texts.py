"""What looks like a token of a mirror in a text: where it may not stand, and how it is shown."""

import re
from urllib.parse import unquote

from registry.errors import TokenMisplaced

SIGN = "ent_"  # every token begins so
# Also with a typing error, and in large letters.
_LIKE_TOKEN = re.compile(rf"{SIGN}[a-z0-9]+_[a-z0-9]{{16,}}", re.IGNORECASE)
# What is refused as a name. Images have names too: `agent_frontend_` and the digits of a commit is
# none of these, because a letter stands before the sign, and what follows has another length.
_MISPLACED = re.compile(
    rf"(?<![a-z0-9]){SIGN}[a-z0-9]{{8}}_[a-z0-9]{{24,}}"
    rf"|{SIGN}[a-z2-7]{{8}}_[a-z2-7]{{32}}(?![a-z0-9])",
    re.IGNORECASE,
)
_ROUNDS = 3  # how often a text may be escaped (%65 is e); what is escaped more often is no path


def mask_tokens(text: str) -> str:
    """Return a text with asterisks in place of the secrets of tokens, also of escaped ones."""
    plain = _unescape(text)
    masked, count = _LIKE_TOKEN.subn(f"{SIGN}********", plain)
    if not count:
        return text
    return "".join(each if each.isprintable() else "?" for each in masked)


def mask_texts(**texts: str) -> dict[str, str]:
    """Do as `mask_tokens` for several texts, and return them by their names."""
    return {name: mask_tokens(text) if text else text for name, text in texts.items()}


def refuse_tokens(text: str) -> None:
    """Refuse the path or query of a request, or the name of an image, if a token stands in it.

    Whoever writes a token into the wrong place makes it a part of a name, which would be asked
    upstream.

    Raises:
        TokenMisplaced: a token is in it, however it is spelled.
    """
    if _MISPLACED.search(_unescape(text)):
        raise TokenMisplaced


def _unescape(text: str) -> str:
    for _ in range(_ROUNDS):
        if "%" not in text:
            break
        text = unquote(text)
    return text
