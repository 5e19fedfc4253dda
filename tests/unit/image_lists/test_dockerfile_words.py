"""Laws of the words of a Dockerfile; the rows agree with BuildKit's own tables of its lexer."""

import pytest

from registry.image_lists.dockerfile_words import UNKNOWN, Word, replace_variables

VALUES = {
    "HOME": "/home",
    "EMPTY": "",
    "STARS": "a***yy*",
    "ODD": "()[]{}^$.*?|\\x",
    "PATH": "/tmp/tmp/bar.txt",
    "TMP": "/tmp",
    "GLOB": "\\*/",
    "FILES": "/foo*/*/*.txt",
    "X": "xxyy",
    "ONE": "x",
    "URL": "http://a.b",
    "FROM": "http://",
    "TO": "https://",
}


def read(text: str, escape: str = "\\") -> Word:
    return replace_variables(text, {name: Word(text) for name, text in VALUES.items()}, escape)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        *(("he'll'o", "hello"), ("he\\'llo", "he'llo"), ('"hel\'lo"', "hel'lo"), ("\"''\"", "''")),
        *(("abc\\tdef", "abctdef"), ('"abc\\tdef"', "abc\\tdef"), ('"abc\\\\t"', "abc\\t")),
        *(
            ("'a\\\\b'", "a\\\\b"),
            ("hello\\", "hello"),
            ("hello\\\\", "hello\\"),
            ("'$HOME'", "$HOME"),
        ),
        *(("$.", "$."), ("he$1x", "hex"), ("he$.x", "he$.x"), ("he\\$HOME", "he$HOME")),
        *(("he\\\\$HOME", "he\\/home"), ('"he\\$HOME"', "he$HOME"), ("\\${}a", "${}a")),
        *(("${NO:-000}x", "000x"), ("${HOME:-0}x", "/homex"), ("${NO:-${NO:-y}}", "y")),
        *(("${NO:+${HOME}}x", "x"), ("${HOME:+${HOME}:}x", "/home:x"), ("${HOME?}", "/home")),
        *(("${EMPTY?}a", "a"), ("${NO:-\\$HOME:}x", "$HOME:x"), ("${NO-a b}", "a b")),
        *(("${NO:-b}}", "b}"), ("${999:-b}a", "ba"), ("$@@", "@"), ("${-:-b}", "b"), ("$$", "")),
        *(("$HOME.x", "/home.x"), ("$HOMEx", ""), ("안${NO}녕", "안녕")),
        *(
            ("${ODD#()[]{\\}^$.\\*\\?|\\\\}", "x"),
            ("${STARS%%\\**\\*}", "a"),
            ("${STARS%\\*}", "a***yy"),
        ),
        *(("${X#*x*y}", "y"), ("${X#*}", "xxyy"), ("${X##*}", ""), ("${X#$ONE}", "xyy")),
        *(("${X#$EMPTY}", "xxyy"), ("${X##*x}", "yy"), ("${X#?}", "xyy"), ("${X#\\?}", "xxyy")),
        *(
            ("${X%y}", "xxy"),
            ("${X%%x*}", ""),
            ("${X%x*}", "x"),
            ("${X%}", "xxyy"),
            ("${NO%x}", ""),
        ),
        *(("${FILES/$GLOB/.}", "/foo.*/*.txt"), ("${FILES//$GLOB/.}", "/foo..*.txt")),
        *(("${PATH/$TMP/}", "/tmp/bar.txt"), ("${PATH//$TMP/}", "/bar.txt")),
        *(("${URL/$FROM/$TO}", "https://a.b"), ("${PATH//\\//\\/}", "\\/tmp\\/tmp\\/bar.txt")),
        *(("${X/$EMPTY/ww}", "wwxxyy"), ("${X///}", "xxyy"), ("${NO///}", ""), ("${X//*/a}", "a")),
        *(
            ("${X/x*/a}", "a"),
            ("${X/?y/a}", "xay"),
            ("${X//y/a}", "xxaa"),
            ("${X//[xy]/a}", "xxyy"),
        ),
        *(("${X//$EMPTY/-}", "-x-x-y-y-"), ("${X/*y*/a}", "a"), ("${X/z/a}", "xxyy")),
    ],
)
def test_word_is_read_as_buildkit_reads_it(written: str, value: str) -> None:
    """Quotes, escapes and every form of substitution give the value that a build would use."""
    found = read(written)
    assert (value, ()) == (found.text, found.reasons)


@pytest.mark.parametrize(
    "written",
    [
        *("'a", '"a', "a'b", "${}", "${HOME", "${{HOME}", "${.}", "${:}", "${:-b}", "${NO?}"),
        *("${EMPTY:?}", "${HOME:=0}", "${HOME=0}", "${HOME:x}", "${X:#}", "${X:%%}", "${X//}"),
        *(
            "${X/a}",
            "${X//ww}",
            "${X#\\x}",
            "${X%\\}",
            "${HOME^}",
            "${HOME,,}",
            "${HOME@Q}",
            "a" * 5000,
        ),
        *("${NO:-$HOME", "${NO:-'}", '${NO:-"}'),
    ],
)
def test_word_that_breaks_the_rules_is_not_known(written: str) -> None:
    """What BuildKit refuses is not known, and the reason is given."""
    found = read(written)
    assert found.text == UNKNOWN
    assert len(found.reasons) == 1


def test_escape_is_the_one_of_the_file() -> None:
    """With another escape character, a backslash is an ordinary one."""
    assert read("a\\b`$HOME", "`").text == "a\\b$HOME"
    assert read('"a`"b"', "`").text == 'a"b'


@pytest.mark.parametrize(
    ("written", "value"),
    [
        *(("$P", UNKNOWN), ("a-$P-b", f"a-{UNKNOWN}-b"), ("${P:-x}", UNKNOWN), ("${P-x}", UNKNOWN)),
        *(("${P:+x}", "x"), ("${P+x}", "x"), ("${V:+x}", UNKNOWN), ("${V:-x}", UNKNOWN)),
        *(("${V+x}", "x"), ("${P?}", UNKNOWN), ("${P#linux/}", UNKNOWN), ("${P%/*}", UNKNOWN)),
        *(
            ("${P/a/b}", UNKNOWN),
            ("${X#$P}", UNKNOWN),
            ("${X/$P/b}", UNKNOWN),
            ("${X/x/$P}", UNKNOWN),
        ),
        *(
            ("${HOME:-$P}", "/home"),
            ("${NO:-$P}", UNKNOWN),
            ("${HOME:+$P}", UNKNOWN),
            ("${NO+$P}", ""),
        ),
    ],
)
def test_unknown_value_is_unknown_only_where_it_is_used(written: str, value: str) -> None:
    """A value that is not known makes those parts unknown that depend on it, and no others."""
    values = {name: Word(text) for name, text in VALUES.items()}
    values["P"] = Word(UNKNOWN, ("P depends",), is_filled=True)
    values["V"] = Word(UNKNOWN, ("V depends",))
    found = replace_variables(written, values)
    assert value == found.text
    assert bool(found.reasons) == (UNKNOWN in value)


def test_long_values_take_no_long_time() -> None:
    """A pattern that makes other matchers try everything ends at once."""
    values = {"X": Word("a" * 4000)}
    assert replace_variables("${X##*a*a*a*a*a*a*b}", values).text == "a" * 4000
    assert replace_variables("${X//*a*a*a*a*b*c/}", values).text == "a" * 4000
    assert replace_variables("${X%%a*a*a*a*b}", values).text == "a" * 4000
    assert replace_variables("${X//a/$X}", values).reasons == (
        "its value has more than 4096 characters",
    )
