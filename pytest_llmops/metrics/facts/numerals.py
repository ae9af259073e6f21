"""
Numbers and units of Chinese, Japanese and Korean, written as English does: `九点` is 9:00, `25円` 25 JPY.

Only what stands before a unit or a counter is a number: the sign for one is in many words that count nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache

_DIGITS: Mapping[str, int] = {
    sign: value
    for value, signs in enumerate(
        ("零〇", "一壹", "二两兩両贰貳", "三叁参", "四肆", "五伍", "六陆陸", "七柒", "八捌", "九玖")
    )
    for sign in signs
}
_TENS: Mapping[str, int] = {"十": 10, "拾": 10, "百": 100, "佰": 100, "千": 1_000, "仟": 1_000}
_GROUPS: Mapping[str, int] = {"万": 10**4, "萬": 10**4, "亿": 10**8, "億": 10**8, "兆": 10**12}
_HANGUL: Mapping[str, str] = dict(
    zip("영일이삼사오육칠팔구십백천만억", "零一二三四五六七八九十百千万亿", strict=True)
)
_NATIVE_TENS = {
    "열": 10, "스물": 20, "스무": 20, "서른": 30, "마흔": 40, "쉰": 50, "예순": 60, "일흔": 70, "여든": 80,
    "아흔": 90,
}  # fmt: skip
_NATIVE = {
    "하나": 1, "한": 1, "둘": 2, "두": 2, "셋": 3, "세": 3, "넷": 4, "네": 4, "다섯": 5, "여섯": 6, "일곱": 7,
    "여덟": 8, "아홉": 9,
}  # fmt: skip

_LONGEST = 32  # signs of a number
_SIGN = "".join([*_DIGITS, *_TENS, *_GROUPS])
_COUNTER = (
    r"小?[时時]|点|點|分|秒|[号號日天月年周週岁歳才元円块圆本件次回度米克吨升名人位家座所台枚条只头杯瓶层階楼]"
    r"|星期|个(?:月|小时|人|星期)|個(?:月|小時|人)|[ヶか]月|公|千米|毫|厘|美|欧|歐|英|世[纪紀]|倍|[%\uff05]|[个個种種つ]"
)
_CJK_RUN = re.compile(
    rf"(?<![{_SIGN}\d])(?P<run>[{_SIGN}]{{1,{_LONGEST}}})(?![{_SIGN}])(?P<counter>{_COUNTER})?"
)
_MIXED = re.compile(rf"(\d{{1,15}}(?:\.\d{{1,15}})?)\s?([{''.join(_GROUPS)}천만억])(?=\D|\Z)")
_PER_CENT = re.compile(rf"百分之\s?((?:\d+(?:\.\d+)?)|[{_SIGN}点點]{{1,{_LONGEST}}})")
_BARE_ONE = frozenset("一壹")
_COUNTS_TIME = re.compile(r"小?[时時]|分|秒|天|日|年|周|週|星期|元|円|个(?:月|小时)|個(?:月|小時)")
_HANGUL_COUNTER = (
    r"(?:년|월|일|분|초|원|개월|주|세|층|호|도|퍼센트|킬로|명|달러|회|인|미터|유로|세기|번|시간|시|개)"
)
_SINO_KOREAN = re.compile(rf"(?<![가-힣])([{''.join(_HANGUL)}]{{1,{_LONGEST}}})(?=\s?{_HANGUL_COUNTER})")
_NATIVE_KOREAN = re.compile(
    rf"(?<![가-힣])({'|'.join(_NATIVE_TENS)})?({'|'.join(sorted(_NATIVE, key=len, reverse=True))})?"
    r"(?=\s?(?:시|명|개|살|권|번|마리|대|달|장|잔|병|가지|곳|사람|주))"
)
_KOREAN_WORDS = frozenset(
    "일이오만천"
)  # a day, this, five as a verb's end: alone, they are mostly no numbers

_AFTERNOON = "下午|晚上|傍晚|夜晚|夜里|午後|午后|오후|저녁|밤"
_CLOCK = re.compile(
    rf"(?P<half>上午|早上|早晨|清晨|凌晨|午前|朝|中午|오전|아침|새벽|{_AFTERNOON})?\s?"
    r"(?P<hour>\d{1,2})\s?(?:点|點|時|时|시)(?![间間간小])(?:[钟鐘整]|\s?(?P<minute>\d{1,2})\s?[分분]|\s?(?P<half_past>半|반))?"
)
_DECIMAL = re.compile(r"(?<=\d)[点點](?=\d+(?!\d|\s?分))")
_FULL_DATE = re.compile(r"(\d{4})\s?[年년]\s?(\d{1,2})\s?[月월]\s?(\d{1,2})\s?(?:日|号|號|일)?")
_DATE = re.compile(r"(?<!\d)(\d{1,2})\s?[月월]\s?(\d{1,2})\s?(?:日|号|號|일)")
_MONTH = re.compile(r"(?<!\d)(\d{1,2})\s?[月월](?![间間])")
_YEAR = re.compile(r"(?<!\d)(\d{4})\s?[年년](?![间間간])")
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
    "November", "December",
)  # fmt: skip
# The longer come first: a letter of one may be another.
_UNITS: tuple[tuple[str, str], ...] = (
    ("世[纪紀]|세기", "th century"),
    ("个月|個月|[ヶかカ箇]月|개월", " months"),
    ("[年년](?:[间間간])?", " years"),
    ("个?小时|個?小時|時間|个?钟头|시간", " hours"),
    ("分[钟鐘間间]?|분", " minutes"),
    ("秒[钟鐘間间]?|초", " seconds"),
    ("个?星期|[周週][間间]?|주(?:일|간)?", " weeks"),
    ("天|日[間间]?|일(?:간)?", " days"),
    ("美[元金]|ドル|달러", " USD"),
    ("[欧歐]元|ユーロ|유로", " EUR"),
    ("英[镑鎊]|ポンド|파운드", " GBP"),
    ("円|日[元圆圓]|엔", " JPY"),
    ("원|[韩韓][元圆]", " KRW"),
    ("元|块钱?|人民[币幣]|[圆圓]", " CNY"),
    ("毫克|ミリグラム|밀리그램", " mg"),
    ("公斤|千克|キログラム|キロ(?!メートル)|킬로그램|킬로(?!미터)", " kg"),
    ("公里|千米|キロメートル|킬로미터", " km"),
    ("厘米|センチメートル|センチ|센티미터", " cm"),
    ("毫米|ミリメートル|밀리미터", " mm"),
    ("毫升|ミリリットル|밀리리터", " ml"),
    ("平方米|平方メートル|제곱미터", " m2"),
    ("克|グラム|그램", " g"),
    ("吨|噸|トン|톤", " tonnes"),
    ("米|メートル|미터", " m"),
    ("升|リットル|리터", " l"),
    ("[摄攝]氏度|度|도", " degrees"),
    ("パーセント|퍼센트|프로", "%"),
)
_ANY_UNIT = re.compile(
    r"(?P<number>\d)\s?(?:" + "|".join(f"(?P<u{at}>{words})" for at, (words, _) in enumerate(_UNITS)) + ")"
)
_ASIAN = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3]")


@lru_cache(maxsize=16_384)
def write_in_digits(text: str) -> str:
    """Write the numbers of a text in digits, with units as English has them; the rest stays as it is."""
    if not _ASIAN.search(text):
        return text
    text = _PER_CENT.sub(lambda match: f"{_read_share(match[1])}%", text)
    text = _CJK_RUN.sub(_read_run, text)
    text = _SINO_KOREAN.sub(_read_sino_korean, text)
    text = _NATIVE_KOREAN.sub(_read_native_korean, text)
    text = _MIXED.sub(_read_mixed, text)
    text = _DECIMAL.sub(".", text)
    replace: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], str]], ...] = (
        (_CLOCK, _read_clock),
        (_FULL_DATE, lambda match: f" {match[1]}-{int(match[2]):02}-{int(match[3]):02} "),
        (
            _DATE,
            lambda match: f" {int(match[2])} {_name_month(match[1])} " if _name_month(match[1]) else match[0],
        ),
        (_MONTH, lambda match: f" {_name_month(match[1])} " if _name_month(match[1]) else match[0]),
        (_YEAR, lambda match: f" {match[1]} "),
        (_ANY_UNIT, _read_unit),
    )
    for pattern, read in replace:
        text = pattern.sub(read, text)
    return text


def _read_run(match: re.Match[str]) -> str:
    run, counter = match["run"], match["counter"] or ""
    if len(run) == 1 and (
        not counter
        or (run in _BARE_ONE and not _COUNTS_TIME.match(counter))
        or (
            run in {"十", "千", "万", "百"}
            and counter == "分"
            and not match.string[match.end() :].startswith(("钟", "鐘"))
        )
    ):
        return match[0]
    return f"{_parse(run)}{counter}"


def _parse(run: str) -> int:
    """Return the number of a run of signs: with powers of ten, or digit by digit as years are written."""
    if all(sign in _DIGITS for sign in run):
        return int("".join(str(_DIGITS[sign]) for sign in run))
    total = group = digit = 0
    for sign in run:
        if sign in _DIGITS:
            digit = digit * 10 + _DIGITS[sign]
        elif sign in _TENS:
            group, digit = group + (digit or 1) * _TENS[sign], 0
        else:
            total, group, digit = total + ((group + digit) or 1) * _GROUPS[sign], 0, 0
    return total + group + digit


def _read_share(written: str) -> str:
    if written[0].isdigit():
        return written
    whole, _, decimals = re.sub("點", "点", written).partition("点")
    digits = "".join(str(_DIGITS.get(sign, 0)) for sign in decimals)
    return f"{_parse(whole or '零')}{'.' if decimals else ''}{digits}"


def _read_sino_korean(match: re.Match[str]) -> str:
    run = match[1]
    if len(run) == 1 and run in _KOREAN_WORDS:
        return run
    return str(_parse("".join(_HANGUL[sign] for sign in run)))


def _read_native_korean(match: re.Match[str]) -> str:
    return str(_NATIVE_TENS.get(match[1], 0) + _NATIVE.get(match[2], 0)) if match[0] else ""


def _read_mixed(match: re.Match[str]) -> str:
    size = {**_GROUPS, "천": 10**3, "만": 10**4, "억": 10**8}[match[2]]
    number = float(match[1]) * size
    return f"{number:.0f}" if number.is_integer() else f"{number}"


def _read_clock(match: re.Match[str]) -> str:
    hour, minute = int(match["hour"]), 30 if match["half_past"] else int(match["minute"] or 0)
    if re.fullmatch(_AFTERNOON, match["half"] or "") and hour < 12:  # noqa: PLR2004 - hours of a half day
        hour += 12
    return f" {hour}:{minute:02} " if hour <= 24 and minute < 60 else match[0]  # noqa: PLR2004 - of a clock


def _name_month(written: str) -> str:
    return _MONTHS[int(written) - 1] if 1 <= int(written) <= len(_MONTHS) else ""


def _read_unit(match: re.Match[str]) -> str:
    at = next(int(name[1:]) for name, found in match.groupdict().items() if found and name != "number")
    return f"{match['number']}{_UNITS[at][1]} "
