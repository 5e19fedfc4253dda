"""Laws of YAML as a tree: lines, merges, templates and limits."""

import pytest

from registry.errors import ListInvalid
from registry.image_lists.yaml_tree import LIMITS, NOTHING, Limits, read_documents


def test_documents_are_read_one_by_one() -> None:
    """Empty documents are null; byte-order marks, Windows line ends and tabs do not matter."""
    text = "\ufeff---\r\n---\r\n# nothing\r\n---\r\na: 1\t# x\r\n...\r\n---\r\nb: {c: [1, 2]}\r\n"
    *empty, first, last = read_documents(text, "a.yaml")
    assert [each.is_empty for each in empty] == [True, True]
    assert first.find("a").text == "1"
    assert [each.text for each in last.find("b", "c").items] == ["1", "2"]
    assert last.find("b", "d", "e") == NOTHING


def test_line_is_that_of_the_key() -> None:
    """An alias has the line where it is used, and a text of several lines that of its key."""
    (node,) = read_documents("a: &x\n  - 1\nb: *x\n'c':\n  >-\n  two\n  lines\n", "a.yaml")
    assert {name: each.line for name, each in node.fields.items()} == {"a": 1, "b": 3, "c": 4}
    assert node.find("a") is node.find("b")
    assert node.find("c").text == "two lines"


def test_first_merged_wins() -> None:
    """A mapping's own field wins over merged ones, and an earlier merged one over a later."""
    text = "a: &a {x: 1, y: 1}\nb: &b {<<: *a, y: 2, z: 2}\nc: {<<: [*b, {z: 3, w: 3}], w: 4}\n"
    (node,) = read_documents(text, "a.yaml")
    fields = node.find("c").fields
    assert {name: each.node.text for name, each in fields.items()} == {
        "x": "1",
        "y": "2",
        "z": "2",
        "w": "4",
    }


def test_last_of_equal_keys_wins() -> None:
    """If a key occurs twice, the second value is used, as other parsers do."""
    (node,) = read_documents("a: 1\na: 2", "a.yaml")
    assert (node.find("a").text, node.fields["a"].line) == ("2", 2)


@pytest.mark.parametrize("text", ["!!python/object/apply:os.system [x]", "!Ref x", "!!binary x"])
def test_tags_are_ignored(text: str) -> None:
    """A tag is ignored: a text stays a text."""
    (node,) = read_documents(f"a: {text}", "a.yaml")
    assert (node.find("a").text or node.find("a").items[0].text) == "x"


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        ("a: 1\n\tb: 2", 2, "not YAML"),
        ("a: 'x", 1, "not YAML"),
        ("a: b: c", 1, "not YAML"),
        ("a: \x07", 0, "not YAML"),
        ("a: @x", 1, "not YAML"),
        ("a: \ud800", 0, "not YAML"),
        ("a: *x", 1, "*x has no anchor before it"),
        ("a: &x\n  b: *x", 2, "is inside its own anchor"),
        ("a: &x 1\n---\na: *x", 3, "*x has no anchor before it"),
        ("[a, {b: [c]}]: d", 1, "a key is not a word"),
        ("a:\n  b: {{ .Values.b }}", 2, "a key is not a word, as in a template"),
        ("[" * 1000, 1, "more than 500000 values, or 200 levels"),
        ("{a: " * 1000, 1, "or 200 levels"),
        ("- " * 1000, 1, "or 200 levels"),
    ],
)
def test_other_texts_are_refused(text: str, line: int, why: str) -> None:
    """A text that is not YAML, or that exceeds a limit, is refused with its line."""
    with pytest.raises(ListInvalid) as error:
        list(read_documents(text, "a.yaml"))
    assert line == error.value.line
    assert why in error.value.why


@pytest.mark.parametrize(
    "text", ["a: {{ .x }}", "{{- if .x }}\na: 1\n{{- end }}", "a: {{ include 'b' . | quote }}x"]
)
def test_a_template_has_to_be_rendered(text: str) -> None:
    """For every template that is not valid YAML, the error says how to render it."""
    with pytest.raises(ListInvalid, match=r"helm template \.\.\. \| entrepot"):
        list(read_documents(text, "a.yaml"))


FEW = Limits(nodes=1000, depth=20)


@pytest.mark.parametrize("line", ["- a\n", "---\n"])
def test_large_text_is_refused(line: str) -> None:
    """A text with more values than the limit is not read to its end."""
    with pytest.raises(ListInvalid, match="more than 1000 values"):
        list(read_documents(line * 1001, "a.yaml", FEW))


def test_limits_are_larger_than_real_texts() -> None:
    """Without limits of the caller, a list of a thousand pods is read."""
    pod = "- {kind: Pod, spec: {containers: [{name: a, image: b, env: [{name: c, value: d}]}]}}\n"

    (found,) = read_documents(pod * 1000, "a.yaml")

    assert (len(found.items), LIMITS) == (1000, Limits(nodes=500_000, depth=200))


def test_aliases_count_as_what_they_stand_for() -> None:
    """A small text whose aliases stand for many values is refused."""
    lines = ["a0: &a0 [1, 2, 3, 4, 5, 6, 7, 8]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 8)}]" for n in range(1, 20)]
    with pytest.raises(ListInvalid, match="more than 500000 values"):
        list(read_documents("\n".join(lines), "a.yaml"))


def test_merged_fields_count_again() -> None:
    """A merge copies fields, so the fields of each merge are counted."""
    many = ", ".join(f"k{n}: 1" for n in range(50))
    lines = [f"a: &a {{{many}}}", *(f"b{n}: {{<<: *a}}" for n in range(50))]
    with pytest.raises(ListInvalid, match="more than 1000 values"):
        list(read_documents("\n".join(lines), "a.yaml", FEW))


def test_chain_of_aliases_is_not_deeper_than_the_rest() -> None:
    """Levels of aliases are counted too, so that the depth of every tree is limited."""
    chain = "\n".join(f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, FEW.depth + 1))
    with pytest.raises(ListInvalid, match="20 levels"):
        list(read_documents(f"a0: &a0 []\n{chain}", "a.yaml", FEW))
