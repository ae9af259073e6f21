"""What Korean writes right behind a noun: particles, the copula, and verbs made of it."""

from __future__ import annotations

PARTICLES = (
    "이라고는|이라고|라고는|라고|이라는|라는|이라도|라도|이라면|라면|이라서|라서|이란|란|이라|"
    "으로부터|로부터|으로서|로서|으로써|로써|으로|로|"
    "에서부터|에서|에게서|에게|에는|에도|에|께서|께|한테서|한테|"
    "까지|부터|마다|조차|마저|밖에|보다|처럼|만큼|대로|뿐|이나|나|이랑|랑|하고|이며|며|이고|고|"
    "이든지|든지|이든|든|이야말로|야말로|은|는|이|가|을|를|의|와|과|도|만|요|아|야|여|"
    "들|님|당|씩|이내|동안|(?<=[일주월년달])간"  # `3시` is no part of `3시간`
)
"""Particles, longer ones first; several may follow each other: `까지는`."""

ENDINGS = (
    "입니다|입니까|이에요|이예요|예요|이다|였습니다|이었습니다|이었다|였다|인가요|인지|인데|인|이어야|이므로|"
    "이지만|이지|이니|이면|임"
)
"""Forms of the copula, which close a word."""

VERBS = "하|해|했|한|할|합|함|되|돼|됐|된|될|됩|됨|받|시키|시켜|시킬|드리|드립|드려|가능|불가|없|있"
"""First syllables of verbs and predicates right behind a noun: `환불하다`, `환불됩니다`, `환불불가`."""
