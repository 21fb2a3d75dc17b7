"""The web shell: pages, forms, guards, live events and everything every page has in common."""

from compagnon.web.feature import Action, Feature, NavItem, Panel
from compagnon.web.forms import Form
from compagnon.web.guards import requires
from compagnon.web.render import fragment, page, redirect, toast

__all__ = ["Action", "Feature", "Form", "NavItem", "Panel", "fragment", "page", "redirect", "requires", "toast"]
