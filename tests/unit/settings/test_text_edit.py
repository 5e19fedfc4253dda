"""Laws of changing a table in a settings file: only the named settings differ, or nothing does."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.settings.new_file import build_text
from registry.settings.text_edit import Change, set_values
from registry.settings.values import Refusal

TABLE = ("upstreams", "docker.io")
NEW = ["https://a.example", "https://b.example"]
WRITTEN = 'endpoints = [\n  "https://a.example",\n  "https://b.example",\n]'
BOTH = [Change("endpoints", NEW)]
WHY = Change("names", "agree", ("two of them", "must agree"))
HEAD = '[upstreams."docker.io"]\n'


@pytest.mark.parametrize(
    ("before", "after"),
    [
        # Nothing is there yet.
        ("", f"{HEAD}{WRITTEN}\n"),
        ("# mine\n", f"# mine\n\n{HEAD}{WRITTEN}\n"),
        ("offline = false", f"offline = false\n\n{HEAD}{WRITTEN}\n"),
        ("[storage]\npath = 'x'\n", f"[storage]\npath = 'x'\n\n{HEAD}{WRITTEN}\n"),
        (
            '[upstreams."ghcr.io"]\nproxy = ""\n',
            f'[upstreams."ghcr.io"]\nproxy = ""\n\n{HEAD}{WRITTEN}\n',
        ),
        # The table is there, with or without other settings, in other forms of its name.
        (HEAD, f"{HEAD}{WRITTEN}\n"),
        (HEAD.strip(), f"{HEAD}{WRITTEN}\n"),
        (f'{HEAD}proxy = ""\n', f'{HEAD}{WRITTEN}\nproxy = ""\n'),
        (
            "[ upstreams . 'docker.io' ]  # hub\n",
            f"[ upstreams . 'docker.io' ]  # hub\n{WRITTEN}\n",
        ),
        (f'{HEAD}\n[storage]\npath = "x"\n', f'{HEAD}{WRITTEN}\n\n[storage]\npath = "x"\n'),
        # A commented-out default says where the setting belongs.
        (
            f'{HEAD}# Base URLs.\n# endpoints = ["x"]\n# proxy = ""\n',
            f'{HEAD}# Base URLs.\n# endpoints = ["x"]\n{WRITTEN}\n# proxy = ""\n',
        ),
        (
            f'[upstreams."ghcr.io"]\n# endpoints = []\n{HEAD}proxy = ""\n',
            f'[upstreams."ghcr.io"]\n# endpoints = []\n{HEAD}{WRITTEN}\nproxy = ""\n',
        ),
        # The setting is there.
        (f'{HEAD}endpoints = ["x"]\n', f"{HEAD}{WRITTEN}\n"),
        (f'{HEAD}endpoints = ["x"]', f"{HEAD}{WRITTEN}"),
        (f'{HEAD}endpoints=["x"]# one\n', f"{HEAD}endpoints={WRITTEN.partition('= ')[2]}# one\n"),
        (
            f'{HEAD}  endpoints  =  [ "x", ]  # one\n',
            f"{HEAD}  endpoints  =  {WRITTEN.partition('= ')[2]}  # one\n",
        ),
        (f'{HEAD}endpoints = [\n  "x",\n  "y",\n]\nproxy = ""\n', f'{HEAD}{WRITTEN}\nproxy = ""\n'),
        (f'{HEAD}"endpoints" = ["x"]\n', f'{HEAD}"endpoints" = {WRITTEN.partition("= ")[2]}\n'),
        ('upstreams."docker.io".endpoints = ["x"]\n', f'upstreams."docker.io".{WRITTEN}\n'),
        ('[upstreams]\n"docker.io".endpoints = ["x"]\n', f'[upstreams]\n"docker.io".{WRITTEN}\n'),
        (f'{HEAD}endpoints = ["a#b"]  # c\n', f"{HEAD}{WRITTEN}  # c\n"),
        # What looks like it, and is none.
        (
            f'{HEAD}proxy = """\nendpoints = ["x"]\n"""\n',
            f'{HEAD}{WRITTEN}\nproxy = """\nendpoints = ["x"]\n"""\n',
        ),
        (
            f'[upstreams."a=b"]\nendpoints = ["x"]\n{HEAD}endpoints = ["y"]\n',
            f'[upstreams."a=b"]\nendpoints = ["x"]\n{HEAD}{WRITTEN}\n',
        ),
        # Lines end as they did.
        (
            '[upstreams."docker.io"]\r\nendpoints = ["x"]\r\nproxy = ""\r\n',
            f'{HEAD}{WRITTEN}\nproxy = ""\n'.replace("\n", "\r\n"),
        ),
        ('[upstreams."docker.io"]\r\n', f"{HEAD}{WRITTEN}\n".replace("\n", "\r\n")),
        # A line separator of Unicode ends no line of TOML.
        (f"# a\u2028{HEAD}", f"# a\u2028{HEAD}\n{HEAD}{WRITTEN}\n"),
    ],
)
def test_one_list_is_changed(before: str, after: str) -> None:
    """All other lines, comments and blanks stay as they are."""
    assert set_values(before, TABLE, BOTH) == after


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (f'{HEAD}endpoints = [\n  "x",  # the office\n]\n', "has comments, which would be lost"),
        (f'{HEAD}endpoints = [\n  # "x",\n  "y",\n]\n', "has comments, which would be lost"),
        ('[upstreams]\n"docker.io" = { endpoints = ["x"] }\n', "in an unusual way"),
        ('upstreams = { "docker.io" = { endpoints = ["x"] } }\n', "in an unusual way"),
        ('[upstreams]\n"docker.io".proxy = ""\n', "in an unusual way"),
        ('[[upstreams."docker.io"]]\nproxy = ""\n', "is no table"),
        ("upstreams = 1\n", "is no table"),
        ("a = \n", "not TOML"),
        (f"{HEAD}{HEAD}", "not TOML"),
    ],
)
def test_an_unusual_file_is_refused(text: str, why: str) -> None:
    """The operator changes it by hand; nothing is guessed."""
    with pytest.raises(Refusal, match=why):
        set_values(text, TABLE, BOTH)


def test_a_new_settings_file_gets_the_list() -> None:
    """In the file of `config init` the list stands below its commented-out default."""
    text = build_text()
    lines = set_values(text, TABLE, BOTH).splitlines()
    at = lines.index("endpoints = [")
    assert lines[at - 1] == '# endpoints = ["https://registry-1.docker.io"]'
    assert lines[at : at + 4] == WRITTEN.splitlines()
    del lines[at : at + 4]
    assert lines == text.splitlines()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        # A new setting has its comment; one that is there keeps what is around it.
        (HEAD, f'{HEAD}# two of them\n# must agree\nnames = "agree"\n'),
        (f'{HEAD}names = "first"  # quick\n', f'{HEAD}names = "agree"  # quick\n'),
        (f"{HEAD}names = 'agree'\n", f"{HEAD}names = 'agree'\n"),
    ],
)
def test_a_text_is_changed(before: str, after: str) -> None:
    """As a list is; what is the same already stays as it is written."""
    assert set_values(before, TABLE, [WHY]) == after


def test_new_settings_are_in_their_order() -> None:
    """Each is below the one before, also if that was there already."""
    listed = f'{WRITTEN}\nnames = "first"\n'
    both = [*BOTH, Change("names", "first")]
    assert set_values(HEAD, TABLE, both) == f"{HEAD}{listed}"
    old = f'{HEAD}proxy = ""\nendpoints = ["x"]\norder = "written"\n'
    new = f'{HEAD}proxy = ""\n{listed}order = "written"\n'
    assert set_values(old, TABLE, both) == new


def test_what_is_the_same_is_not_refused() -> None:
    """A list with comments stays, if only another setting changes."""
    text = f'{HEAD}endpoints = [\n  "https://a.example",  # mine\n  "https://b.example",\n]\n'
    both = [*BOTH, Change("names", "first")]
    assert set_values(text, TABLE, both) == f'{text}names = "first"\n'


_STATEMENTS = [
    HEAD,
    "[storage]\n",
    '[upstreams."ghcr.io"]\n',
    "# a comment\n",
    "\n",
    '# endpoints = ["https://registry-1.docker.io"]\n',
    'endpoints = ["https://x.example"]  # x\n',
    'endpoints = [\n  "https://x.example",\n]\n',
    'path = "a # b = [c]"\n',
    "text = '''\n[upstreams]\nendpoints = []\n'''\n",
    'upstreams."docker.io".endpoints = ["x"]\n',
]


@given(st.lists(st.sampled_from(_STATEMENTS), max_size=8).map("".join))
def test_nothing_else_is_ever_changed(text: str) -> None:
    """Whatever the file is: the list is the new one and all else is the same, or it is refused."""
    try:
        changed = set_values(text, TABLE, BOTH)
    except Refusal:
        return
    before, after = tomllib.loads(text), tomllib.loads(changed)
    assert after["upstreams"]["docker.io"].pop("endpoints") == NEW
    before.setdefault("upstreams", {}).setdefault("docker.io", {}).pop("endpoints", None)
    assert after == before
    comments = [line for line in text.split("\n") if line.startswith("#")]
    assert [line for line in changed.split("\n") if line.startswith("#")] == comments
    assert set_values(changed, TABLE, BOTH) == changed
