"""The desktop manifest of an environment: what the client sees, for phone mode to draw. Read and written."""

from __future__ import annotations

from collections.abc import Iterator

from compagnon.i18n import N_
from procedures.format.fields import CODE
from procedures.format.model import Desktop, DesktopIcon, Menu, Panel, PanelItem, Position
from procedures.format.report import Report
from procedures.format.shape import Reader
from procedures.format.yamls import Node, flow

SIDES = ("top", "bottom", "left", "right")
ZONES = ("start", "center", "end")
MAX_CELL = 32
MAX_MENU_DEPTH = 3
EXAMPLE = "panel: {position: bottom, items: [{id: menu, label: Menu}]}"


def read(text: str, first_line: int, at: Position, report: Report) -> Desktop | None:
    node = report.yaml(text, first_line, N_("Write for instance {example}."), example=EXAMPLE)
    if node is None:
        return None
    if not isinstance(node.value, dict):
        report.error(
            "desktop", at, N_("The desktop must be a mapping."), N_("Write for instance {example}."), example=EXAMPLE
        )
        return None
    reader = Reader(node, "desktop", report)
    reader.only(("panel", "icons", "menus"))
    return Desktop(
        panel=_panel(reader),
        icons=tuple(icon for child in reader.mappings("icons") if (icon := _icon(reader.inside(child)))),
        menus=_menus(reader, "menus", 1),
        at=at,
    )


def _panel(outer: Reader) -> Panel | None:
    node = outer.node("panel")
    if node is None:
        return None
    if not isinstance(node.value, dict):
        outer.refuse(node, N_("The panel must be a mapping."), N_("Write for instance {example}."), example=EXAMPLE)
        return None
    reader = outer.inside(node)
    reader.only(("position", "items"))
    items = [_panel_item(reader.inside(child)) for child in reader.mappings("items")]
    return Panel(
        position=reader.one_of("position", SIDES) or "bottom",
        items=tuple(item for item in items if item),
    )


def _panel_item(reader: Reader) -> PanelItem | None:
    reader.only(("id", "label", "icon", "zone"))
    identity = _identity(reader)
    if identity is None:
        return None
    return PanelItem(
        id=identity[0], label=identity[1], icon=reader.code("icon", CODE), zone=reader.one_of("zone", ZONES) or "start"
    )


def _identity(reader: Reader) -> tuple[str, str] | None:
    reader.require("id", "label")
    name, label = reader.code("id", CODE), reader.line("label")
    return (name, label) if name and label else None


def _icon(reader: Reader) -> DesktopIcon | None:
    reader.only(("id", "label", "icon", "column", "row"))
    reader.require("column", "row")
    identity = _identity(reader)
    column, row = reader.integer("column", 1, MAX_CELL), reader.integer("row", 1, MAX_CELL)
    if identity is None or column is None or row is None:
        return None
    return DesktopIcon(id=identity[0], label=identity[1], icon=reader.code("icon", CODE), column=column, row=row)


def _menus(outer: Reader, key: str, depth: int) -> tuple[Menu, ...]:
    found = [_menu(outer.inside(child), child, depth) for child in outer.mappings(key)]
    return tuple(menu for menu in found if menu)


def _menu(reader: Reader, node: Node, depth: int) -> Menu | None:
    reader.only(("id", "label", "icon", "opens", "items"))
    identity = _identity(reader)
    if depth > MAX_MENU_DEPTH:
        reader.refuse(node, N_("Menus are nested more than three deep."), N_("Move this menu up."))
        return None
    items = _menus(reader, "items", depth + 1)
    if identity is None:
        return None
    return Menu(
        id=identity[0], label=identity[1], icon=reader.code("icon", CODE), opens=reader.code("opens", CODE), items=items
    )


def write(desktop: Desktop) -> Iterator[str]:
    """The manifest's canonical YAML, line by line."""
    if desktop.panel:
        yield "panel:"
        yield f"  position: {desktop.panel.position}"
        yield from _list("  items", [_item_text(item) for item in desktop.panel.items])
    yield from _list("icons", [_icon_text(icon) for icon in desktop.icons])
    yield from _list("menus", [flow(_menu_value(menu)) for menu in desktop.menus])


def _list(key: str, items: list[str]) -> Iterator[str]:
    if not items:
        return
    indent = " " * (len(key) - len(key.lstrip()) + 2)
    yield f"{key}:"
    yield from (f"{indent}- {item}" for item in items)


def _item_text(item: PanelItem) -> str:
    return flow(_present(id=item.id, label=item.label, icon=item.icon, zone=item.zone))


def _icon_text(icon: DesktopIcon) -> str:
    return flow(_present(id=icon.id, label=icon.label, icon=icon.icon, column=icon.column, row=icon.row))


def _menu_value(menu: Menu) -> dict[str, object]:
    items = [_menu_value(item) for item in menu.items] or None
    return _present(id=menu.id, label=menu.label, icon=menu.icon, opens=menu.opens, items=items)


def _present(**values: object) -> dict[str, object]:
    return {key: value for key, value in values.items() if value is not None}
