"""The metadata between the two ``---`` lines."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from compagnon.i18n import N_
from compagnon_agent.protocol.parameters import MAX_PARAMETERS, NAME, Parameter, ParameterType
from procedures.format.duration import Duration
from procedures.format.fields import CODE
from procedures.format.model import Position, Risk, Type
from procedures.format.report import Report
from procedures.format.shape import Reader
from procedures.format.yamls import Node

MAX_FRONT = 32_000
LOCALES = ("fr", "en")
KEYS = (
    "id",
    "type",
    "title",
    "locale",
    "applies_to",
    "esttime",
    "perskill",
    "reqconds",
    "parameters",
    "risk",
    "review_every",
)
PARAMETER_KEYS = ("type", "required", "default", "label", "choices", "minimum", "maximum")
EXAMPLE = "title: Installer une imprimante"
_FENCE = re.compile(r"---[ \t]*")
_LARGEST = 2**53


@dataclass(frozen=True, slots=True)
class Front:
    """``values`` are the arguments of ``Procedure``; ``body`` is the index of the first line after the metadata."""

    values: dict[str, Any]
    positions: dict[str, Position]
    body: int


def read(lines: list[str], report: Report) -> Front:
    end = next((n for n, line in enumerate(lines) if n and _FENCE.fullmatch(line)), None)
    if not _FENCE.fullmatch(lines[0]) or end is None:
        report.error(
            "front-matter",
            Position(1),
            N_("The metadata is missing or never ends."),
            N_("Start the file with a line “---”, the metadata, and another line “---”."),
        )
        return Front(_values(Reader(Node({}, Position(1)), "metadata", report)), {}, 0)
    node = _node("\n".join(lines[1:end]), report)
    reader = Reader(node, "metadata", report)
    reader.only(KEYS)
    reader.require("id", "type", "title", "locale")
    return Front(_values(reader), _positions(node), end + 1)


def _node(text: str, report: Report) -> Node:
    empty = Node({}, Position(1))
    if len(text) > MAX_FRONT:
        report.error("size", Position(2), N_("The metadata is too long."), N_("Keep it under 32,000 characters."))
        return empty
    node = report.yaml(text, 2, N_("Write one “key: value” per line, for instance {example}."), example=EXAMPLE)
    if node is None:
        return empty
    if not isinstance(node.value, dict):
        report.error(
            "metadata",
            Position(2),
            N_("The metadata must be “key: value” lines."),
            N_("Write for instance {example}."),
            example=EXAMPLE,
        )
        return empty
    return node


def _positions(node: Node) -> dict[str, Position]:
    found = {str(key): child.at for key, child in node.items.items()}
    parameters = node.items.get("parameters")
    for key, child in parameters.items.items() if parameters else ():
        found[f"parameters.{key}"] = child.at
    return found


def _values(reader: Reader) -> dict[str, Any]:
    return {
        "id": reader.code("id", CODE) or "",
        "type": reader.choice("type", Type) or Type.INSTALL,
        "title": reader.line("title") or "",
        "locale": reader.one_of("locale", LOCALES) or "fr",
        "applies_to": reader.lines("applies_to", CODE),
        "esttime": _duration(reader, "esttime"),
        "perskill": reader.lines("perskill", CODE),
        "reqconds": reader.lines("reqconds"),
        "parameters": _parameters(reader),
        "risk": reader.choice("risk", Risk),
        "review_every": _duration(reader, "review_every"),
    }


def _duration(reader: Reader, key: str) -> Duration | None:
    text, node = reader.line(key), reader.node(key)
    if text is None or node is None:
        return None
    try:
        return Duration.parse(text)
    except ValueError:
        reader.refuse(
            node,
            N_("“{value}” is not an ISO 8601 duration."),
            N_("Write for instance PT10M, PT1H30M, P6M."),
            value=text,
        )
        return None


def _parameters(reader: Reader) -> tuple[Parameter, ...]:
    node = reader.node("parameters")
    if node is None:
        return ()
    if not isinstance(node.value, dict) or len(node.value) > MAX_PARAMETERS:
        reader.refuse(
            node,
            N_("The parameters must be a mapping of at most {maximum} names."),
            N_("Write one “name: …” per parameter."),
            maximum=str(MAX_PARAMETERS),
        )
        return ()
    found = [_parameter(str(name), child, reader) for name, child in node.items.items()]
    return tuple(parameter for parameter in found if parameter)


def _parameter(name: str, node: Node, outer: Reader) -> Parameter | None:
    if not NAME.fullmatch(name):
        outer.refuse(
            node, N_("“{name}” is not a parameter's name."), N_("Use lower-case letters, digits and “_”."), name=name
        )
        return None
    if not isinstance(node.value, dict):
        outer.refuse(
            node,
            N_("The parameter “{name}” must be a mapping."),
            N_("Write for instance {example}."),
            name=name,
            example="{type: ipv4, required: true}",
        )
        return None
    reader = outer.inside(node)
    reader.only(PARAMETER_KEYS)
    reader.require("type")
    required = reader.boolean("required")
    return Parameter(
        name=name,
        type=reader.choice("type", ParameterType) or ParameterType.TEXT,
        required=True if required is None else required,
        default=reader.line("default", 1000),
        label=reader.line("label") or "",
        choices=reader.lines("choices"),
        minimum=reader.integer("minimum", -_LARGEST, _LARGEST),
        maximum=reader.integer("maximum", -_LARGEST, _LARGEST),
    )
