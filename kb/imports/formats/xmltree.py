"""XML as a tree, read so that no text can grow, reach out or nest without end: no DTD, no entities, bounded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from xml.parsers import expat

MAX_DEPTH = 60
MAX_NODES = 50_000


class XmlError(ValueError):
    """The text is not XML, or not XML that may be read; the message says why."""


@dataclass(slots=True)
class Node:
    """An element. ``tag`` and the attributes' names are ``namespace name`` (a space between) or a bare name."""

    tag: str
    attributes: Mapping[str, str]
    children: list[Node | str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The tag without its namespace."""
        return self.tag.rpartition(" ")[2]

    def get(self, name: str) -> str:
        """An attribute by its name, whatever its namespace; "" when it is missing."""
        if name in self.attributes:
            return self.attributes[name]
        return next((value for key, value in self.attributes.items() if key.endswith(f" {name}")), "")

    @property
    def elements(self) -> Iterator[Node]:
        return (child for child in self.children if isinstance(child, Node))

    def all(self, name: str) -> Iterator[Node]:
        """The children of this name."""
        return (child for child in self.elements if child.name == name)

    def first(self, name: str) -> Node | None:
        return next(self.all(name), None)

    @property
    def text(self) -> str:
        """All text inside, as it stands."""
        return "".join(child if isinstance(child, str) else child.text for child in self.children)


def parse(text: str) -> Node:
    """The root element. Raises XmlError for everything that is not plain, well-formed, moderate XML."""
    builder = _Builder()
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = _refuse_doctype
    parser.EntityDeclHandler = _refuse_doctype
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    try:
        parser.Parse(text.encode(), True)
    except (expat.ExpatError, UnicodeEncodeError) as error:
        raise XmlError(str(error)) from None
    if builder.root is None:
        raise XmlError("no element")
    return builder.root


def _refuse_doctype(*_: object) -> None:
    raise XmlError("a document type or an entity is declared")


class _Builder:
    def __init__(self) -> None:
        self.root: Node | None = None
        self._open: list[Node] = []
        self._left = MAX_NODES

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self._left -= 1
        if len(self._open) >= MAX_DEPTH or self._left < 0:
            raise XmlError("nested too deeply or too long")
        node = Node(tag, attributes)
        if self._open:
            self._open[-1].children.append(node)
        else:
            self.root = node
        self._open.append(node)

    def end(self, _: str) -> None:
        self._open.pop()

    def data(self, text: str) -> None:
        self._open[-1].children.append(text)
