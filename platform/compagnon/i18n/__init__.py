"""Languages: msgids are English; each package brings its own French catalogue."""

from compagnon.auth.model import LOCALES
from compagnon.i18n.catalogues import N_, Catalogues, current_locale, gettext, ngettext, use_locale
from compagnon.i18n.negotiate import negotiate

__all__ = ["LOCALES", "N_", "Catalogues", "current_locale", "gettext", "negotiate", "ngettext", "use_locale"]
