"""Words by which wording is judged: imperatives, and what may stand before them."""

from __future__ import annotations

import re

# French marks its imperative: "-ez", and a handful of verbs.
_FR_STEM = r"(?:[\w'’]*[^\W\d_]ez|faites|refaites|défaites|dites|redites|soyez|ayez|veuillez)"
_FR_PRONOUN = r"(?:-(?:les|leur|lui|le|la|vous|nous|moi|en|y))*"
_FR_NOT = r"(?:ne\s+(?:(?:vous|le|la|les|lui|leur|y|en)\s+)?|n['’](?:y\s+|en\s+)?)?"
FR_IMPERATIVE = re.compile(
    rf"{_FR_NOT}(?!(?:chez|assez|rez|nez|avez|êtes|pouvez|devez|voulez|savez|allez-vous)\b){_FR_STEM}{_FR_PRONOUN}(?![\w-])",
    re.IGNORECASE,
)
FR_LEAD = re.compile(
    r"(?:sur|dans|depuis|si|s['’]ils?|lorsque?|lorsqu['’]|quand|après|avant|pour|au|aux|à|sous|en|chez|avec|une\s+fois|dès|pendant|sans"
    r"|tant\s+que|tant\s+qu['’]|jusqu['’]|par|côté|devant|derrière|via|puis|enfin|ensuite)(?![\w-])|(?:lorsqu|qu|s)['’]",
    re.IGNORECASE,
)
FR_SECOND = re.compile(
    rf"(?:,\s*|;\s*|\.\s+|\b)(?:(?:et|puis|ensuite|ou)\s+)+(?P<verb>{FR_IMPERATIVE.pattern})|[,;]\s*(?P<verb2>{FR_IMPERATIVE.pattern})",
    re.IGNORECASE,
)

# English does not: a list. Words that are also nouns count as verbs only where a verb stands.
_EN_WORDS = """
    accept access acknowledge activate add adjust agree align allow answer append apply approve ask assign attach
    authorise authorize back block boot bring browse build burn call cancel capture change charge check choose clean
    clear click clone close collect compare complete compress configure confirm connect contact continue convert copy
    correct count create cut deactivate decide declare decompress define delete deploy describe detach determine dial
    disable disconnect dismiss display do double-click download drag draw drop duplicate edit eject empty enable
    encrypt ensure enter erase escalate examine exclude execute exit expand export extend extract file fill filter
    find finish fit fix flush follow force format free generate get give go grant group guide hand hold identify
    ignore import include increase inform insert inspect install invite isolate join keep label launch leave let limit
    link list listen load locate lock log look lower make mark measure merge mount move name note notify obtain open
    order paste pause perform pick place plug point power press prevent print probe propose protect provide pull purge
    push put query quit raise read reboot rebuild recall receive reconnect record recover redo reduce refresh refuse
    regenerate register reinstall reject release reload remind remount remove rename renew repair repeat replace reply
    report reproduce request rescan reset resize resolve restart restore restrict resume retrieve retry return review
    revoke right-click roll rotate run save scan schedule scroll search secure select send separate set share show
    shut sign simulate skip sort specify split start stop store submit switch synchronise synchronize take tap tell
    terminate test tick transfer trigger trust try turn type unblock uncheck undo uninstall unlock unmount unpack
    unplug unselect untick update upgrade upload use validate verify view visit wait warn wipe write zip
"""
EN_VERBS = frozenset(_EN_WORDS.split())
EN_LEAD = re.compile(
    r"(?:on|in|from|if|when|once|after|before|for|at|under|with|while|without|as|unless|until|inside|to|by|over|through|during"
    r"|then|next|finally)(?![\w-])",
    re.IGNORECASE,
)
EN_NOT = re.compile(r"(?:do\s+not|don['’]t|never|always)\s+", re.IGNORECASE)
EN_SECOND = re.compile(
    r"(?:\b(?:and|then)\s+|[,;.]\s+)(?:then\s+)?(?P<verb>[a-z]+(?:-click)?)\s+"
    r"(?:the|a|an|your|its|it|this|that|these|those|them|all|each|every|any|on|until|whether|for|to|again|with|[`“\"«{])",
    re.IGNORECASE,
)
EN_WORD = re.compile(r"[a-z]+(?:-click)?", re.IGNORECASE)
