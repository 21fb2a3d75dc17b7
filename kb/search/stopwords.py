"""Words that say nothing about a text, folded (without accents). Left out of bodies, kept in titles."""

from __future__ import annotations

_FRENCH = """
a ai ainsi ait alors apres au aucun aussi autre aux avant avec avez avoir avons c ca car ce ceci cela celle celles
celui ces cet cette ceux chaque ci comme comment d dans de dela des deux devez devra doit donc dont du elle elles en
encore entre es est et etaient etait etant ete etes etre eu eux faire fait faut ici il ils j je l la le les leur leurs
lors lorsque lui m ma mais me mes moi moins mon n ne ni nos notre nous on ont ou par parce pas pendant peu peut
peuvent plus pour pourquoi pouvez puis puisque qu quand que quel quelle quelles quelque quels qui quoi s sa sans se
sera ses si soit son sont sous suis sur t ta tandis te tel telle tes toi ton tous tout toute toutes tres tu un une
vers via voici voila vos votre vous y
"""
_ENGLISH = """
a about after all also am an and any are as at be because been before being but by can could did do does doing for
from had has have he her here his how i if in into is it its just may me more most my no not of on once only or other
our out over should so some such than that the their them then there these they this those through to too under until
up use very was we were what when where which while who why will with would you your
"""
STOP_WORDS = {"fr": frozenset(_FRENCH.split()), "en": frozenset(_ENGLISH.split())}
