"""Which command somebody meant who typed one that does not exist. Pure."""

import shlex
from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher
from types import MappingProxyType

LIKENESS = 0.7  # at least, of 1: `image` is like `images`, and `nginx` is like no command
MOST = 5  # commands that are suggested
# What other programs call our commands.
_SYNONYMS = MappingProxyType(
    {
        "clean": "evict",
        "delete": "rm",
        "describe": "show",
        "download": "warm",
        "export": "create",
        "fetch": "warm",
        "gc": "evict",
        "inspect": "show",
        "list": "ls",
        "load": "import",
        "prune": "evict",
        "pull": "warm",
        "remove": "rm",
        "run": "serve",
        "save": "create",
        "start": "serve",
        "validate": "check",
    }
)


def suggest_commands(typed: Sequence[str], commands: Iterable[str]) -> list[str]:
    """Return the commands that are most like the `typed` words, the most likely first.

    `commands` are all real commands and groups, such as `images ls` and `images`. The words may be
    a misspelt group (`image ls`), a command without its group (`ls`), a command of another group
    (`images evict`), or the name of another program's command (`delete`).
    """
    # Also as they were typed: `pull` is the `warm` of other programs, and also like `pulls`.
    meant = _translate(typed), [word.lower() for word in typed[:2]]
    scores = {
        command: max(_compare(words, command.split()) for words in meant) for command in commands
    }
    best = max(scores.values(), default=0.0)
    close = [each for each, score in scores.items() if score >= max(LIKENESS, best - 0.1)]
    return sorted(close, key=lambda each: -scores[each])[:MOST]


def format_unknown(
    typed: Sequence[str], commands: Iterable[str], options: Sequence[str] = ()
) -> str:
    """Return the message about a command that does not exist, with those that do.

    `typed` are the words before the first option, and `options` is the rest. What was typed after
    the command stays in the suggestions, so that they can be copied.
    """
    found = [
        shlex.join(["entrepot", *command, *typed[_count_words(typed, command) :], *options])
        for command in map(str.split, suggest_commands(typed, commands))
    ]
    # A group that is right, with the rest as it was typed, is what does not exist.
    same = shlex.join(["entrepot", *typed, *options])
    found = [each for each in found if each != same]
    text = f"there is no command {' '.join(typed[:2])!r:.80}"
    if not found:
        return f"{text}; list the commands: entrepot --help"
    return f"{text}; did you mean: {' or '.join(found)}"


def _translate(typed: Sequence[str]) -> list[str]:
    """Return the words that may name a command, as our commands are called."""
    return [_SYNONYMS.get(word.lower(), word.lower()) for word in typed[:2]]


def _count_words(typed: Sequence[str], command: Sequence[str]) -> int:
    """Return how many of the typed words stand for a command; the others are its arguments."""
    words = _translate(typed)
    if len(command) == 1 or len(words) == 1:
        return 1
    has_group = _measure(words[0], command[0]) >= LIKENESS
    return 1 if not has_group and _measure(words[0], command[1]) >= LIKENESS else 2


def _compare(typed: Sequence[str], command: Sequence[str]) -> float:
    """Return how much one or two words are like a command, from 0 to 1."""
    if len(command) == 1:  # a group, or a command without one
        # It may be right, and the word after it wrong: then a command of the group is better.
        return _measure(typed[0], command[0]) * (1.0 if len(typed) == 1 else 0.75)
    if len(typed) == 2 and typed[0] == command[0]:
        return _measure(typed[1], command[1])  # the group is right, and so says nothing
    name = _measure(typed[0], command[1]) * 0.95  # without its group
    if len(typed) == 2:  # several groups may have the command: the word before it counts too
        group = _measure(typed[0], command[0])
        weight = 0.95 if group >= LIKENESS else 0.8 + 0.15 * group
        name = max(name, _measure(typed[1], command[1]) * weight)
    return max(_measure(" ".join(typed), " ".join(command)), name)


def _measure(typed: str, real: str) -> float:
    return SequenceMatcher(None, typed, real).ratio()
