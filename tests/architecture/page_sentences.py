"""The sentences of a page in Markdown."""

import re


def list_sentences(page: str) -> list[str]:
    """Return the sentences of all paragraphs, without line breaks and names, and all rows.

    A line of a checklist is one.
    """
    paragraphs = [each for each in page.split("\n\n") if each[0] != "#"]
    return [sentence for each in paragraphs for sentence in split_block(each)]


def split_block(block: str) -> list[str]:
    """Return the sentences of a paragraph or list, or the rows of a table."""
    if block[0] == "|":
        return list_rows(block)
    if block.startswith("- [ ] "):
        return [line.removeprefix("- [ ] ") for line in block.strip().splitlines()]
    items = re.split(r"^- ", block, flags=re.MULTILINE)
    return [sentence for each in filter(None, items) for sentence in split_paragraph(each)]


def split_paragraph(paragraph: str) -> list[str]:
    """Return the sentences of a paragraph, without its name."""
    plain = re.sub(r"^\*\*[^*]+\.\*\* ", "", " ".join(paragraph.split()))
    return re.split(r"(?<=\.) (?=[A-Z`])", plain)


def list_rows(table: str) -> list[str]:
    """Return the rows of a table without head, bars at the ends, and an empty last cell."""
    return [line.strip("| ") for line in table.strip().splitlines()[2:]]
