"""The groups a new co-operative begins with: how callers name what technicians call by another name."""

from __future__ import annotations

from kb.synonyms.model import Wording

REASON = "Du glossaire de départ / from the starter glossary."


def wordings() -> tuple[Wording, ...]:
    return tuple(Wording(locale=locale, words=words) for locale, words in _GROUPS)


_GROUPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("", ("écran bleu", "BSOD", "blue screen", "stop error")),
    ("", ("mot de passe", "mdp", "password")),
    ("", ("imprimante", "copieur", "photocopieur")),
    ("", ("file d'attente", "spouleur", "spooler", "print queue")),
    ("", ("sauvegarde", "backup", "copie de sécurité")),
    ("", ("dossier partagé", "partage réseau", "lecteur réseau", "shared folder", "network drive")),
    ("", ("pare-feu", "firewall")),
    ("", ("clé USB", "USB stick", "flash drive")),
    ("", ("disque dur", "HDD", "hard disk")),
    ("", ("disque plein", "plus de place", "espace insuffisant", "no space left", "disk full")),
    ("", ("serveur mandataire", "proxy")),
    ("", ("fuseau horaire", "time zone", "timezone")),
    ("", ("synchronisation de l'heure", "NTP", "time sync")),
    ("", ("bureau à distance", "RDP", "remote desktop")),
    ("", ("réseau privé virtuel", "VPN")),
    ("", ("wifi", "wi-fi", "sans fil", "wireless")),
    ("", ("pilote", "driver")),
    ("", ("mise à jour", "MAJ", "update")),
    ("", ("hameçonnage", "phishing", "courriel frauduleux")),
    ("", ("rançongiciel", "ransomware", "fichiers chiffrés")),
    ("fr", ("courriel", "mail", "e-mail", "messagerie", "mél")),
    ("fr", ("ordinateur", "poste", "PC", "unité centrale")),
    ("fr", ("lent", "rame", "ralenti", "met du temps")),
    ("fr", ("planté", "figé", "bloqué", "ne répond plus")),
    ("fr", ("box", "routeur", "modem")),
    ("fr", ("caisse", "TPV", "terminal de vente")),
    ("en", ("sluggish", "slow", "laggy")),
    ("en", ("frozen", "stuck", "not responding", "hangs")),
    ("en", ("laptop", "notebook")),
)
