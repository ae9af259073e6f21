"""What customers add that changes nothing of a question: asides, for whom it is, that postage is left out."""

from __future__ import annotations

import re

from reference_app.tools.sql.linking.lexicon import WORD

_RELATIVE = (
    "nephew|niece|dad|father|mum|mother|brother|sister|friend|mate|wife|husband|partner|boyfriend|girlfriend"
    "|colleague|boss|uncle|aunt|cousin|gran|grandma|grandad|grandpa|in-laws|parents|flatmate|neighbour|teacher"
)
_PERSON = (
    r"(?:my|our|a|an|his|her) (?:(?:little|big|older|younger|best|dear|old) )?"
    rf"(?:{_RELATIVE})(?:'s (?:birthday|wedding|retirement))?\b"
)
_HOBBY = (
    r"(?:gadgets|technology|tech|gizmos|(?:the )?(?:outdoors?|mountains|hills)|nature|hiking|walking|camping"
    r"|climbing|travel(?:ling)?|trekking|running|cycling|fishing|cooking|adventures?|presents|surprises)"
)
_LIKES = (
    r"(?:(?:just|really|absolutely) )?(?:loves?|likes?|adores?|enjoys?"
    r"|(?:is|are) (?:really )?(?:into|keen on|mad about|fond of|crazy about))"
)
_TASTE = rf"{_LIKES} {_HOBBY}(?:(?:,| and) {_HOBBY})*"
_MONEY = r"(?:pounds?|quid|gbp|£\s?[\d,.]+)"
_POST = r"(?:postage(?: and packing)?|shipping|delivery|p&p|gift wrap(?:ping)?)(?: costs?| charges?| fees?)?"
_WITHOUT = (
    r"(?:(?:no|without|excluding|excl\.?|not counting|not including|ignoring|leaving out|before|minus"
    rf"|never mind|apart from|forget)(?: the| any)? {_POST}(?: or (?:the )?{_POST})?"
    rf"|{_POST} (?:(?:is|are) )?(?:not included|not counted|excluded|left out|aside))"
)
_ASIDE = (
    r"(?:(?:just )?(?:asking for a friend|out of curiosity|curious|wondering|checking)"
    r"|sorry(?: (?:to|for) (?:ask|asking|bother|bothering|the bother)(?: you)?)?"
    r"|if you (?:do not|don't) mind(?: my asking)?|if (?:possible|you can|you know)|no (?:rush|hurry)"
    r"|thanks?(?: you)?(?: a lot| so much| very much| a million| in advance)?|please)"
)


def _compile(*patterns: str) -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(pattern, re.IGNORECASE) for pattern in patterns)


_ASIDES = _compile(
    rf"\({_ASIDE}[.!]?\)",
    rf"^{_ASIDE}(?:[,.!:;]| but\b| - )\s*",
    rf"[,;.?!]\s*{_ASIDE}[.!?]*$",
    rf"(?:^|(?<=[.!?,;]))\s*(?:and )?(?:he|she|they|{_PERSON}) {_TASTE}\s*(?:[.!;,]|$)",
    rf",? who {_TASTE},?",
)
_POSTAGE = _compile(rf"\({_WITHOUT}[.!]?\)", rf"[,;]?\s*\b{_WITHOUT}(?=\s*(?:[?.!,;]|$))")
_PRICED = re.compile(rf"\b(?:prices?|costs?|pay|how much|total|altogether|come to)\b|{_MONEY}", re.IGNORECASE)
_BOUGHT = re.compile(r"\b(?:orders?|refunds?|customers?|parcels?|match)\b", re.IGNORECASE)
_RECIPIENTS = _compile(
    rf"(?<=\w) for {_PERSON}(?=\s*(?:[.,;?!]|$)|\s(?:for|under|below|up to|from)\b)",
    rf"(?<=buy) {_PERSON}|(?<=get) {_PERSON}|(?<=give) {_PERSON}",
)
_GIVEN = re.compile(rf"{_MONEY}|\b(?:present|gift|something|anything)\b", re.IGNORECASE)
_WORN = re.compile(
    r"\b(?:boots?|shoes?|footwear|jackets?|cloth\w*|trousers?|shorts|socks?|gloves?|fleeces?|shells?|layers?"
    r"|carriers?|child\w*|packs?|\w+packs?|sizes?)\b",
    re.IGNORECASE,
)
_FOR_THAT = re.compile(
    r"\s(?:for|with|below|under|within|at) (?:that|this|it)(?: (?:money|amount))?(?=\s*[?.!]*$)",
    re.IGNORECASE,
)
_OWNED = re.compile(rf"(?:\b(?:have|got|budget|spend|spare)|'ve)\b[^.?!]*{_MONEY}", re.IGNORECASE)


def leave_out_asides(text: str) -> str:
    """The text without them, unless nothing is left."""
    kept = _drop(_ASIDES, text)
    if _PRICED.search(kept) and not _BOUGHT.search(kept):  # prices are those of the goods alone
        kept = _drop(_POSTAGE, kept)
    if _GIVEN.search(kept) and not _WORN.search(kept):  # "boots for my wife" wants more than boots
        kept = _drop(_RECIPIENTS, kept)
    if _OWNED.search(kept):
        kept = _FOR_THAT.sub("", kept)
    return " ".join(kept.split()) if WORD.search(kept) else text


def _drop(patterns: tuple[re.Pattern[str], ...], text: str) -> str:
    for pattern in patterns:
        text = pattern.sub(" ", text)
    return text
