"""The few sentences that the person at the machine reads, in English and in French."""

from __future__ import annotations

import os
from collections.abc import Mapping

CAPABILITIES: Mapping[str, str] = {
    "terminal": "work in a terminal on this computer",
    "files": "see, fetch and put files on this computer",
    "processes": "see and end programs, restart services",
    "logs": "read the logs of this computer",
    "screen": "look at your screen and point at things on it",
    "screen.control": "use the mouse and keyboard of this computer",
    "chat": "write with you, in a window on this computer",
    "tunnel": "reach {target}, and nothing else, through this computer",
}
"""What a session's capability means to whoever is asked. ``target``: host and port."""

FRENCH: Mapping[str, str] = {
    "Compagnon: your agreement is asked": "Compagnon : votre accord est demandé",
    "{member} ({cooperative}) asks for your agreement": "{member} ({cooperative}) demande votre accord",
    "{member} asks for your agreement": "{member} demande votre accord",
    "Ticket {ticket}: {title}": "Ticket {ticket} : {title}",
    "Reason: {reason}": "Motif : {reason}",
    "What: follow the procedure {code}, version {version}": "Quoi : suivre la procédure {code}, version {version}",
    "“{title}” ({steps} steps, risk: {risk})": "« {title} » ({steps} étapes, risque : {risk})",
    "“{title}” (1 step, risk: {risk})": "« {title} » (1 étape, risque : {risk})",
    "What: {what}": "Quoi : {what}",
    "work in a terminal on this computer": "travailler dans un terminal sur cet ordinateur",
    "see, fetch and put files on this computer": "voir, prendre et déposer des fichiers sur cet ordinateur",
    "see and end programs, restart services": "voir et arrêter des programmes, redémarrer des services",
    "read the logs of this computer": "lire les journaux de cet ordinateur",
    "look at your screen and point at things on it": "voir votre écran et y montrer du doigt",
    "use the mouse and keyboard of this computer": "se servir de la souris et du clavier de cet ordinateur",
    "write with you, in a window on this computer": "écrire avec vous, dans une fenêtre de cet ordinateur",
    "reach {target}, and nothing else, through this computer": (
        "joindre {target}, et rien d'autre, en passant par cet ordinateur"
    ),
    "{member} ({cooperative}) proposes a rule for this computer": (
        "{member} ({cooperative}) propose une règle pour cet ordinateur"
    ),
    "A rule for this computer of {client}, version {version}, for {days} days:": (
        "Une règle pour cet ordinateur de {client}, version {version}, pour {days} jours :"
    ),
    "Every request is asked here, each time. Nothing is granted beforehand.": (
        "Chaque demande est posée ici, à chaque fois. Rien n'est accordé d'avance."
    ),
    "Without asking, while somebody is signed in on this computer, its technicians may:": (
        "Sans rien demander, tant que quelqu'un a ouvert sa session sur cet ordinateur, ses techniciens peuvent :"
    ),
    "Without asking, at any hour, also when nobody is there, its technicians may:": (
        "Sans rien demander, à toute heure, même quand personne n'est là, ses techniciens peuvent :"
    ),
    "follow procedures, risk up to: {risk}": "suivre des procédures, de risque au plus : {risk}",
    "What a procedure does and how risky it is, is the co-operative's word: nobody here reads it first.": (
        "Ce que fait une procédure et son risque, c'est la coopérative qui le dit : personne ici ne le lit avant."
    ),
    "Each time for {hours} hours at most, for a ticket, recorded, with the banner and Stop.": (
        "Chaque fois pour {hours} heures au plus, pour un ticket, enregistré, avec le bandeau et Arrêter."
    ),
    "Everything else is still asked each time.": "Tout le reste est encore demandé à chaque fois.",
    "They say: “{words}”": "Ils disent : « {words} »",
    "To take it back at any time: compagnon-agent policy --withdraw": (
        "Pour la reprendre à tout moment : compagnon-agent policy --withdraw"
    ),
    "You": "Vous",
    "This was not sent: too much is waiting. Write it again in a moment.": (
        "Ceci n'a pas été envoyé : trop de messages attendent. Réécrivez-le dans un instant."
    ),
    "Compagnon: write with the technician": "Compagnon : écrire avec le technicien",
    "What is written here is recorded with the ticket.": "Ce qui est écrit ici est enregistré avec le ticket.",
    "Send": "Envoyer",
    "{name} is writing…": "{name} écrit…",
    "The technician writes with you: answer here, a line each.": (
        "Le technicien vous écrit : répondez ici, une ligne à la fois."
    ),
    "What: {capability} on this computer": "Quoi : {capability} sur cet ordinateur",
    "For how long: {minutes} minutes at most": "Durée : {minutes} minutes au plus",
    "Everything that is shown and typed is recorded.": "Tout ce qui est affiché et tapé est enregistré.",
    "While it is open, another of the same kind for this ticket and technician is not asked again.": (
        "Tant qu'elle est ouverte, une autre du même genre pour ce ticket et ce technicien n'est pas redemandée."
    ),
    "Each step is recorded with its result.": "Chaque étape est enregistrée avec son résultat.",
    "Compare this code by voice: {code}": "Comparez ce code de vive voix : {code}",
    "Do not agree if the technician does not say the same code.": (
        "Ne donnez pas votre accord si le technicien ne dit pas le même code."
    ),
    "I agree": "Je donne mon accord",
    "I refuse": "Je refuse",
    "Show details": "Montrer les détails",
    "low": "faible",
    "medium": "moyen",
    "high": "élevé",
    "Step {id}: {title}": "Étape {id} : {title}",
    "by hand, by the technician": "à la main, par le technicien",
    "undo": "pour revenir en arrière",
    "check": "vérification",
    "Result of the procedure": "Résultat de la procédure",
    "[y] I agree   [n] I refuse   [d] show details: ": "[o] je donne mon accord   [n] je refuse   [d] détails : ",
    "Agreement given until {until}.": "Accord donné jusqu'à {until}.",
    "Refused.": "Refusé.",
    "The question was withdrawn.": "La question a été retirée.",
    "{member} works on this computer (ticket {ticket}).": "{member} travaille sur cet ordinateur (ticket {ticket}).",
    "{member} uses the mouse and keyboard of this computer (ticket {ticket}).": (
        "{member} se sert de la souris et du clavier de cet ordinateur (ticket {ticket})."
    ),
    "Stop": "Arrêter",
    "Watch on my phone": "Regarder sur mon téléphone",
    "Copy": "Copier",
    "Copied": "Copié",
    "Type this address into the browser of your phone, or copy it. Until {time}, whoever has it sees what is done in "
    "this session and can stop it, but cannot type.": (
        "Tapez cette adresse dans le navigateur de votre téléphone, ou copiez-la. Jusqu'à {time}, qui l'a voit ce qui "
        "se fait dans cette session et peut l'arrêter, mais ne peut rien y taper."
    ),
    "This session cannot be watched any more.": "Cette session ne peut plus être regardée.",
    "A link was asked for too often: try again in a minute.": (
        "Un lien a été demandé trop souvent : réessayez dans une minute."
    ),
    "No link can be had just now: try again in a moment.": (
        "Aucun lien ne peut être obtenu pour le moment : réessayez dans un instant."
    ),
    "To stop it: compagnon-agent stop-session": "Pour l'arrêter : compagnon-agent stop-session",
    "The remote session is over.": "La session à distance est terminée.",
}


def say(locale: str, message: str, **params: object) -> str:
    """``message`` in the language of ``locale``; anything but French is English."""
    translated = FRENCH.get(message, message) if locale.lower().startswith("fr") else message
    return translated.format(**params) if params else translated


def own_locale() -> str:
    """The language of whoever is at this machine, from its environment; French where it says nothing."""
    given = os.environ.get("LC_ALL") or os.environ.get("LC_MESSAGES") or os.environ.get("LANG") or ""
    return "en" if given.lower().startswith("en") else "fr"
