"""Small documents of each format, in words of our own, and folders and archives made of them."""

from __future__ import annotations

import io
import os
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

from kb.imports.formats import FORMATS, detect, read_all
from kb.imports.model import Defaults, Parsed, ParsedArticle, Skipped, SourceFile

CORPORA = Path(os.environ.get("COMPAGNON_CORPORA", Path(__file__).parents[2] / "shared" / "corpora"))

ALCHEMY = """---
title: L’imprimante refuse le badge
ms.author: nobody
author: nobody
ms.date: 09/15/2020
ms.topic: article
ms.custom:
- "12"
ms.contentlocale: fr-FR
---
# <a name="badge-refused"></a>L’imprimante Windows refuse le badge

Le lecteur affiche l’erreur 0x8004de40 <br/> et s’éteint.

Pour y remédier :

1. Ouvrez la [console](/microsoft-365/console#badges) et **retirez** le badge.
2. Lisez [l’autre réponse](other-answer.md) ou les [réglages](ms-settings:windowsupdate).

> [!NOTE]
> Gardez la commande `<badge> [!NOTE]` telle quelle.

![Une photo du lecteur](media/reader.png)
"""

ROCKY = """---
title: Mettre une machine Rocky à jour
author: Une Personne
contributors: Une Autre, Encore Une
tested_with: 9.5
---

# Mettre à jour

Ce guide explique la mise à jour.

## Introduction

Elle se fait le soir.

## Étapes

!!! warning "Attention"

    Sauvegardez d'abord.

    ```bash
    # sauvegarde
    tar czf /tmp/etc.tgz /etc
    ```

=== "Serveur"

    Lancez `dnf upgrade`, puis lisez [la suite](../suite.md) et le [site](https://example.org/a_(b)).

![Un écran](images/x.png)
"""

RUNBOOK = """# DiskAlmostFull

## Meaning

The disk of a node is almost full, see [the guide][g].

## Impact

Writes fail.

## Diagnosis

Look with `df -h`:

```sh
## not a heading
df -h
```

## Mitigation

Free space as [told here](../other/Free.md).

### Later

Buy a disk.

[g]: https://example.org/guide
"""

MALLARD = """<?xml version="1.0" encoding="utf-8"?>
<page xmlns="http://projectmallard.org/1.0/" type="topic" style="problem" id="scan-silent" xml:lang="fr">
  <info>
    <link type="guide" xref="scan#problems"/>
    <revision pkgversion="3" date="2014-01-02" status="final"/>
    <revision pkgversion="4" date="2019-05-06" status="final"/>
    <credit type="author"><name>Une Personne</name><email>une@example.org</email></credit>
    <desc>Le scanneur se tait.</desc>
  </info>
  <title>Le scanneur ne répond pas</title>
  <p>Le voyant reste <em>éteint</em> et rien ne bouge.</p>
  <steps>
    <title>Pour le réveiller :</title>
    <item><p>Appuyez sur <keyseq><key>Ctrl</key><key>L</key></keyseq>
      dans <guiseq><gui>Menu</gui><gui>Réglages</gui></guiseq>.</p></item>
    <item><p>Lancez <cmd>lsusb *</cmd> :</p><code>lsusb
  -v</code><list><item><p>puis attendez</p></item></list></item>
  </steps>
  <note style="warning"><p>Ne forcez pas.
    Voyez <link xref="scan-power"/> ou <link href="https://example.org/">le site</link>.</p></note>
  <if:choose xmlns:if="http://projectmallard.org/if/1.0/">
    <if:when test="!platform:gnome-classic"><p>Dans la barre du haut.</p></if:when>
    <if:when test="platform:gnome-classic"><p>Dans la barre du bas.</p></if:when>
  </if:choose>
  <media type="image" src="figures/a.png"><p>Le voyant du scanneur</p></media>
  <table><thead><tr><td><p>Voyant</p></td><td><p>Sens</p></td></tr></thead>
  <tbody><tr><td><p>rouge|vert</p></td><td><p>occupé</p></td></tr></tbody></table>
  <section id="more"><title>Sinon</title><p>2. Changez le câble_usb.</p></section>
</page>
"""

POWER = MALLARD.replace("scan-silent", "scan-power").replace("Le scanneur ne répond pas", "Le courant manque")

NOTE = """# Le pavé numérique reste muet

Sur les postes livrés au printemps.

## Symptômes

Rien ne s'affiche.

## Cause probable

Le verrouillage est perdu au démarrage.

## Solution

1. Appuyez sur Verr num, voir [l'autre](sub/other.md).

### Si cela revient

Changez le réglage.
"""


def files(**texts: str) -> list[SourceFile]:
    """``a__b_md="…"`` is the file ``a/b.md``."""
    return [SourceFile(path=_path(name), text=text) for name, text in texts.items()]


def _path(name: str) -> str:
    stem, _, ending = name.replace("__", "/").rpartition("_")
    return f"{stem}.{ending}"


def parsed(several: list[SourceFile], **defaults: str) -> Parsed:
    """The files read in the format that they are found to have."""
    found = detect(several)
    assert found is not None, "no format"
    return read_all(several, found, Defaults(**defaults))


def one(text: str, format: str, path: str = "a.md", **defaults: str) -> ParsedArticle | Skipped:
    return FORMATS[format].parse(SourceFile(path=path, text=text), Defaults(**defaults))


def article(text: str, format: str, path: str = "a.md", **defaults: str) -> ParsedArticle:
    found = one(text, format, path, **defaults)
    assert isinstance(found, ParsedArticle), found
    return found


def folder(where: Path, texts: Mapping[str, str | bytes]) -> Path:
    """A folder with these files."""
    where.mkdir(parents=True, exist_ok=True)
    for path, text in texts.items():
        file = where / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text.encode() if isinstance(text, str) else text)
    return where


def notes(count: int) -> dict[str, str]:
    return {f"n{at:03}.md": f"# Panne {at}\n\n## Solution\n\nRemplacez la pièce {at}.\n" for at in range(count)}


def zipped(texts: Mapping[str, str | bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, text in texts.items():
            archive.writestr(path, text)
    return buffer.getvalue()


def tarred(texts: Mapping[str, str | bytes], *more: tarfile.TarInfo) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for path, text in texts.items():
            data = text.encode() if isinstance(text, str) else text
            info = tarfile.TarInfo(path)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        for info in more:
            archive.addfile(info)
    return buffer.getvalue()
