"""Mallard's blocks and inline elements as Markdown."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from urllib.parse import quote

from kb.imports.formats import links
from kb.imports.formats.xmltree import Node

SIGNS = re.compile(r"([\\`*\[\]<])|(?<!\w)(_)|(_)(?!\w)")
AT_START = re.compile(r"^(\s*[0-9]*)([#>+=~-]|(?<=[0-9])[.)])", re.MULTILINE)
CODE = frozenset({"cmd", "code", "file", "input", "output", "sys", "var"})
STRONG = frozenset({"gui", "key"})
LEFT_OUT = frozenset({"info", "title", "subtitle", "links", "comment", "desc", "cite", "tt"})
NOTES = {
    "": "Remarque",
    "tip": "Conseil",
    "important": "Important",
    "warning": "Avertissement",
    "danger": "Danger",
    "advanced": "Pour aller plus loin",
    "bug": "Défaut connu",
}
NOTES_EN = {"": "Note", "advanced": "Advanced", "bug": "Known bug"}
TRUE_TESTS = frozenset({"target:html", "target:desktop"})
FIRST_HEADING, LAST_HEADING = 4, 6


class Writer:
    """Turns the elements of one page into Markdown. ``titles`` are those of all pages by id."""

    def __init__(self, titles: Mapping[str, str]) -> None:
        self._titles = titles
        self._locale = "en"
        self._blocks: Mapping[str, Callable[[Node, int], str]] = {
            "section": self._section,
            "steps": lambda node, level: self._list(node, level, numbered=True),
            "list": lambda node, level: self._list(node, level, numbered="numbered" in node.get("style").split()),
            "tree": lambda node, level: self._list(node, level, numbered=False),
            "terms": self._terms,
            "note": self._note,
            "code": self._code,
            "screen": self._code,
            "table": self._table,
            "media": lambda node, level: self._media(node),
            "figure": self._figure,
            "choose": self._choose,
        }

    def opening(self, page: Node) -> tuple[str, str]:
        """Condition and remedy of a page: its first paragraphs (else its description), and everything after them.

        A page that is nothing but paragraphs has its description as the condition.
        """
        self._locale = page.get("lang")[:2].lower() or "en"
        rest = [child for child in page.elements if child.name not in LEFT_OUT and _wanted(child)]
        first: list[Node] = []
        while rest and rest[0].name == "p" and not self._line(rest[0]).endswith(":"):
            first.append(rest.pop(0))
        opening, remedy = self.blocks(first), self.blocks(rest)
        if remedy:
            return opening or self._description(page), remedy
        return self._description(page), opening

    def _description(self, page: Node) -> str:
        info = page.first("info")
        found = info.first("desc") if info else None
        return self._line(found) if found else ""

    def blocks(self, nodes: Iterable[Node], level: int = FIRST_HEADING) -> str:
        written = (self._block(node, level) for node in nodes if node.name not in LEFT_OUT and _wanted(node))
        return "\n\n".join(filter(None, written))

    def _block(self, node: Node, level: int) -> str:
        write = self._blocks.get(node.name)
        if write:
            return write(node, level)
        if node.name == "p":
            return AT_START.sub(r"\1\\\2", self._line(node))
        return self._titled(node, self.blocks(node.elements, level))  # example, quote, listing, synopsis, if, div …

    def _titled(self, node: Node, body: str) -> str:
        title = node.first("title")
        return "\n\n".join(filter(None, (f"**{self._line(title)}**" if title else "", body)))

    def _section(self, node: Node, level: int) -> str:
        title = node.first("title")
        head = f"{'#' * min(level, LAST_HEADING)} {self._line(title)}" if title else ""
        return "\n\n".join(filter(None, (head, self.blocks(node.elements, level + 1))))

    def _list(self, node: Node, level: int, *, numbered: bool) -> str:
        items = []
        for number, item in enumerate(node.all("item"), start=1):
            mark = f"{number}. " if numbered else "- "
            body = self.blocks(item.elements, level) or self._line(item)
            items.append(mark + body.replace("\n", "\n" + " " * len(mark)))
        return self._titled(node, "\n\n".join(re.sub(r"(?m)^ +$", "", item) for item in items))

    def _terms(self, node: Node, level: int) -> str:
        items = []
        for item in node.all("item"):
            heads = ", ".join(self._line(title) for title in item.all("title"))
            items.append(f"**{heads}**\n\n{self.blocks(item.elements, level)}")
        return self._titled(node, "\n\n".join(items))

    def _note(self, node: Node, level: int) -> str:
        style = next((one for one in node.get("style").split() if one in NOTES), "")
        label = NOTES[style] if self._locale == "fr" else NOTES_EN.get(style, style.capitalize())
        title = node.first("title")
        head = self._line(title) if title else label
        body = f"**{head}**\n\n{self.blocks(node.elements, level)}"
        return "\n".join(f"> {line}".rstrip() for line in body.split("\n"))

    def _code(self, node: Node, level: int) -> str:
        text = node.text.strip("\n")
        fence = "`" * max([3, *(len(run) + 1 for run in re.findall(r"`+", text))])
        return f"{fence}\n{text}\n{fence}"

    def _table(self, node: Node, level: int) -> str:
        """A pipe table; a cell's paragraphs are joined, because such a table has one line per row."""
        rows = [self._row(row) for row in _rows(node)]
        width = max((len(row) for row in rows), default=0)
        if not width:
            return ""
        head = rows.pop(0) if node.first("thead") or node.first("title") is None else [""] * width
        lines = [head, ["---"] * width, *rows]
        return self._titled(node, "\n".join(f"| {' | '.join((*row, *[''] * (width - len(row))))} |" for row in lines))

    def _row(self, row: Node) -> list[str]:
        cells = (" ".join(self.blocks(cell.elements).split()) or self._line(cell) for cell in _cells(row))
        return [cell.replace("|", "\\|") for cell in cells]

    def _media(self, node: Node) -> str:
        """The alternative text stands for the picture."""
        return self.blocks(node.elements) if any(node.all("p")) else self._line(node)

    def _figure(self, node: Node, level: int) -> str:
        description = node.first("desc")
        return "\n\n".join(filter(None, (self._line(description) if description else "", self.blocks(node.elements))))

    def _choose(self, node: Node, level: int) -> str:
        chosen = next((when for when in node.all("when") if _holds(when.get("test"))), node.first("else"))
        return self.blocks(chosen.elements, level) if chosen else ""

    # inline

    def _line(self, node: Node) -> str:
        return " ".join("".join(self._inline(child) for child in node.children).split())

    def _inline(self, child: Node | str) -> str:
        if isinstance(child, str):
            return SIGNS.sub(lambda found: "\\" + found[0], child)
        if not _wanted(child):
            return ""
        if child.name in CODE:
            return _span(child.text)
        inner = "".join(self._inline(one) for one in child.children)
        if child.name in STRONG or child.name == "em":
            return _marked(inner, "**" if child.name in STRONG else "*")
        if child.name in ("keyseq", "guiseq"):
            sign = "+" if child.name == "keyseq" else " › "
            return sign.join(self._inline(one) for one in child.elements)
        return self._link(child, inner) if child.name == "link" else inner

    def _link(self, link: Node, words: str) -> str:
        page = link.get("xref").partition("#")[0]
        words = words.strip() or SIGNS.sub(lambda found: "\\" + found[0], self._titles.get(page, page))
        address = f"article:{quote(page)}.page" if page else links.safe(link.get("href"))
        return f"[{words}]({address})" if words and address else words or address


def _wanted(node: Node) -> bool:
    return _holds(node.get("test")) if node.get("test") and node.name not in ("when",) else True


def _holds(test: str) -> bool:
    """Mallard Conditionals 1.0: every token must be true; what we do not know is not."""
    tokens = test.replace(",", " ").split()
    return all((token.removeprefix("!") in TRUE_TESTS) is not token.startswith("!") for token in tokens)


def _rows(node: Node) -> Iterable[Node]:
    for child in node.elements:
        if child.name == "tr":
            yield child
        elif child.name in ("thead", "tbody", "tfoot"):
            yield from _rows(child)


def _cells(row: Node) -> Iterable[Node]:
    return (cell for cell in row.elements if cell.name in ("td", "th"))


def _span(text: str) -> str:
    text = " ".join(text.split())
    fence = "`" * (max((len(run) for run in re.findall(r"`+", text)), default=0) + 1)
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{pad}{text}{pad}{fence}" if text else ""


def _marked(inner: str, sign: str) -> str:
    words = inner.strip()
    if not words:
        return inner
    before, after = inner[: len(inner) - len(inner.lstrip())], inner[len(inner.rstrip()) :]
    return f"{before}{sign}{words}{sign}{after}"
