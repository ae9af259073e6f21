"""
Secrets: private keys, tokens, vendors' keys by their shape, passwords in URLs, and values after a label.

A pattern runs only over a text that contains its mark, since most texts contain none.
"""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Callable, Iterator, Sequence
from functools import cache

_HEX = "[0-9a-f]"
_WORD = r"[\w-]"
_ALNUM = "[A-Za-z0-9]"

# Vendors document the shapes of their keys.
SECRET_SHAPES: tuple[tuple[str, str, str], ...] = (
    # Models and their servers
    ("OpenAI, Anthropic and others", "sk-", rf"sk-(?=[\w-]{{0,199}}\d){_WORD}{{20,200}}"),
    ("ElevenLabs", "sk_", rf"sk_{_HEX}{{48}}"),
    ("Hugging Face", "hf_", rf"hf_{_ALNUM}{{30,60}}"),
    ("Hugging Face", "api_org_", rf"api_org_{_ALNUM}{{30,60}}"),
    ("Groq", "gsk_", rf"gsk_{_ALNUM}{{32,80}}"),
    ("xAI", "xai-", rf"xai-{_ALNUM}{{40,120}}"),
    ("Pinecone", "pcsk_", r"pcsk_\w{30,120}"),
    ("Perplexity", "pplx-", rf"pplx-{_ALNUM}{{32,80}}"),
    ("Replicate", "r8_", rf"r8_{_ALNUM}{{30,60}}"),
    ("Fireworks", "fw_", rf"fw_(?=\w{{0,60}}\d){_ALNUM}{{20,64}}"),
    ("Together", "tgp_v1_", rf"tgp_v1_{_WORD}{{30,80}}"),
    ("Cerebras", "csk-", r"csk-[a-z0-9]{40,64}"),
    ("NVIDIA", "nvapi-", rf"nvapi-{_WORD}{{40,100}}"),
    ("Tavily", "tvly-", rf"tvly-(?=[\w-]{{0,80}}\d){_WORD}{{20,80}}"),
    ("Jina", "jina_", rf"jina_{_WORD}{{40,100}}"),
    ("Firecrawl", "fc-", rf"fc-{_HEX}{{32}}"),
    ("E2B", "e2b_", rf"e2b_{_HEX}{{40}}"),
    ("Voyage", "pa-", rf"pa-(?=[\w-]{{0,60}}\d)(?=[\w-]{{0,60}}[A-Z]){_WORD}{{40,64}}"),
    ("LangSmith", "lsv2_", rf"lsv2_(?:pt|sk)_{_HEX}{{32}}_{_HEX}{{10}}"),
    ("Databricks", "dapi", rf"dapi{_HEX}{{32}}(?:-\d)?"),
    # Clouds and hosts
    ("AWS", "AKIA", "AKIA[0-9A-Z]{16}"),
    ("AWS", "ASIA", "ASIA[0-9A-Z]{16}"),
    ("AWS", "ABIA", "ABIA[0-9A-Z]{16}"),
    ("AWS Bedrock", "ABSK", r"ABSK[A-Za-z0-9+/]{100,280}={0,2}"),
    ("Google", "AIza", rf"AIza{_WORD}{{35}}"),
    ("Google", "ya29.", rf"ya29\.{_WORD}{{20,300}}"),
    ("Google", "GOCSPX-", rf"GOCSPX-{_WORD}{{28}}"),
    ("Azure", "8Q~", r"[\w~.-]{3}8Q~[\w~.-]{31,34}"),
    ("Azure", "AccountKey=", r"(?<=AccountKey=)[A-Za-z0-9+/]{40,100}={0,2}"),
    ("Azure", "SharedAccessKey=", r"(?<=SharedAccessKey=)[A-Za-z0-9+/]{40,100}={0,2}"),
    ("Alibaba", "LTAI", rf"LTAI{_ALNUM}{{12,24}}"),
    ("Tencent", "AKID", rf"AKID{_ALNUM}{{32}}"),
    ("DigitalOcean", "_v1_", rf"do[opr]_v1_{_HEX}{{64}}"),
    ("Heroku", "HRKU-", rf"HRKU-{_WORD}{{36,70}}"),
    ("Netlify", "nfp_", rf"nfp_{_ALNUM}{{36}}"),
    ("Render", "rnd_", rf"rnd_{_ALNUM}{{28,40}}"),
    ("Fly.io", "fm2_", r"fm2_[A-Za-z0-9+/]{100,800}={0,3}"),
    ("Supabase", "sbp_", rf"sbp_(?:oauth_)?{_HEX}{{40}}"),
    ("Supabase", "sb_secret_", rf"sb_secret_{_WORD}{{20,60}}"),
    ("PlanetScale", "pscale_", r"pscale_(?:tkn|pw|oauth)_[\w.-]{32,64}"),
    ("Cloudflare", "v1.0-", rf"v1\.0-{_HEX}{{24}}-{_HEX}{{146}}"),
    ("Terraform", ".atlasv1.", rf"{_ALNUM}{{14}}\.atlasv1\.[\w=-]{{60,70}}"),
    ("Vault", "hvs.", rf"hvs\.{_WORD}{{24,300}}"),
    ("Vault", "hvb.", rf"hvb\.{_WORD}{{100,300}}"),
    ("Doppler", "dp.", r"dp\.(?:pt|st|ct|sa|scim|audit)\.[\w.-]{40,80}"),
    ("Pulumi", "pul-", rf"pul-{_HEX}{{40}}"),
    ("1Password", "ops_eyJ", rf"ops_eyJ{_WORD}{{100,2000}}"),
    ("age", "AGE-SECRET-KEY-1", "AGE-SECRET-KEY-1[A-Z0-9]{58}"),
    # Code and packages
    ("GitHub", "gh", rf"gh[opsur]_{_ALNUM}{{30,255}}"),
    ("GitHub", "github_pat_", r"github_pat_\w{40,255}"),
    ("GitLab", "gl", r"gl(?:pat|dt|rt|ptt|ft|cbt|soat|agent|imt|oas|ffct)-[\w.-]{20,100}"),
    ("npm", "npm_", rf"npm_{_ALNUM}{{36}}"),
    ("PyPI", "pypi-", rf"pypi-{_WORD}{{50,300}}"),
    ("RubyGems", "rubygems_", rf"rubygems_{_HEX}{{48}}"),
    ("Docker", "dckr_", rf"dckr_(?:pat|oat)_{_WORD}{{27,40}}"),
    ("JFrog", "AKCp", rf"AKCp{_ALNUM}{{60,70}}"),
    ("Buildkite", "bkua_", rf"bkua_{_HEX}{{40}}"),
    ("CircleCI", "CCIPAT_", rf"CCIPAT_{_ALNUM}{{20,24}}_{_HEX}{{40}}"),
    ("Sourcegraph", "sgp_", rf"sgp_(?:{_HEX}{{16}}_|local_)?{_HEX}{{40}}"),
    ("Atlassian", "AT", r"AT(?:ATT|CTT)3[\w=-]{60,300}"),
    ("Bitbucket", "ATBB", rf"ATBB{_ALNUM}{{24,40}}"),
    ("Prefect", "pnu_", rf"pnu_{_ALNUM}{{36}}"),
    # Monitoring
    ("Grafana", "glc_", r"glc_[A-Za-z0-9+/]{32,400}={0,3}"),
    ("Grafana", "glsa_", rf"glsa_{_ALNUM}{{32}}_[0-9a-fA-F]{{8}}"),
    ("New Relic", "NRAK-", r"NRAK-[A-Z0-9]{27}"),
    ("Sentry", "sntry", r"sntry[su]_[\w+/=-]{40,400}"),
    ("PostHog", "phx_", rf"phx_{_ALNUM}{{32,60}}"),
    ("Dynatrace", "dt0c01.", r"dt0c01\.[A-Z0-9]{24}\.[A-Z0-9]{64}"),
    # Money and shops
    ("Stripe", "k_", rf"[sprw]k_(?:live|test)_{_ALNUM}{{16,120}}"),
    ("Stripe, Svix", "whsec_", r"whsec_[A-Za-z0-9+/]{24,80}={0,2}"),
    ("Shopify", "shp", r"shp(?:at|ca|pa|ss|tka|ua)_[0-9a-fA-F]{32}"),
    ("Square", "sq0", rf"sq0(?:atp|csp|idp)-{_WORD}{{22,43}}"),
    ("Square", "EAAA", rf"EAAA{_WORD}{{60}}"),
    ("Plaid", "access-",
     rf"access-(?:sandbox|development|production)-{_HEX}{{8}}-(?:{_HEX}{{4}}-){{3}}{_HEX}{{12}}"),
    ("Razorpay", "rzp_", rf"rzp_(?:live|test)_{_ALNUM}{{14,20}}"),
    ("Flutterwave", "FLWSECK", rf"FLWSECK(?:_TEST)?-{_ALNUM}{{12,40}}(?:-X)?"),
    ("Braintree", "access_token$", rf"access_token\$(?:production|sandbox)\$[a-z0-9]{{16}}\${_HEX}{{32}}"),
    # Messages and work
    ("Slack", "xox", r"xox[abeoprs](?:\.xox[bp])?-[A-Za-z0-9-]{10,250}"),
    ("Slack", "xapp-", r"xapp-\d-[A-Za-z0-9-]{20,250}"),
    ("Slack", "hooks.slack.com/",
     r"(?<=hooks\.slack\.com/)(?:services|workflows|triggers)/[A-Z0-9]{8,14}/[\w/]{10,100}"),
    ("Discord", "/api/webhooks/", rf"(?<=/api/webhooks/)\d{{16,20}}/{_WORD}{{60,80}}"),
    ("Discord", ".",
     rf"[MNO](?=[\w-]{{0,25}}[A-Z])(?=[\w-]{{0,25}}\d){_WORD}{{23,27}}\.{_WORD}{{6}}\.{_WORD}{{27,40}}"),
    ("Microsoft Teams", "webhook.office.com/",
     r"(?<=webhook\.office\.com/)webhookb2/[\w@-]{70,80}/[\w/-]{60,160}"),
    ("Telegram", ":AA", rf"\d{{8,10}}:AA{_WORD}{{33}}"),
    ("Twilio", "SK", rf"SK{_HEX}{{32}}"),
    ("SendGrid", "SG.", rf"SG\.{_WORD}{{16,40}}\.{_WORD}{{30,60}}"),
    ("Mailchimp", "-us", rf"{_HEX}{{32}}-us\d{{1,2}}"),
    ("Mailgun", "key-", rf"key-{_HEX}{{32}}"),
    ("Brevo", "xkeysib-", rf"x(?:key|smtp)sib-{_HEX}{{64}}-{_ALNUM}{{16}}"),
    ("Resend", "re_", rf"re_{_ALNUM}{{8}}_{_ALNUM}{{24}}"),
    ("Linear", "lin_", rf"lin_(?:api|oauth)_{_ALNUM}{{40,64}}"),
    ("Notion", "ntn_", rf"ntn_{_ALNUM}{{40,60}}"),
    ("Notion", "secret_", rf"secret_{_ALNUM}{{43}}"),
    ("Airtable", "pat", rf"pat{_ALNUM}{{14}}\.{_HEX}{{64}}"),
    ("Figma", "figd_", rf"figd_{_WORD}{{40,60}}"),
    ("Contentful", "CFPAT-", rf"CFPAT-{_WORD}{{43}}"),
    ("Typeform", "tfp_", r"tfp_[\w.-]{40,70}"),
    ("Postman", "PMAK-", rf"PMAK-{_HEX}{{24}}-{_HEX}{{34}}"),
    ("Facebook", "EAA", r"EAA(?=\w{0,60}\d)[A-Za-z0-9]{80,300}"),
)  # fmt: skip
"""Vendor, mark and pattern of each shape."""
_FEWEST_CHARS_OF_A_KEY = 5
_EXAMPLE = re.compile(r"(?i)x{6}|your[-_]")
_Pattern = tuple[str, str, re.Pattern[str]]
_GRAVE: tuple[_Pattern, ...] = (
    # To its end, to the next key, or to the end of the text: a key that was cut off is one, too.
    ("PRIVATE_KEY", "PRIVATE KEY", re.compile(
        r"-{4,5} ?BEGIN [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)? ?-{4,5}(?P<value>[\s\S]+?)"
        r"(?=-{4,5} ?(?:BEGIN|END) [A-Z0-9 ]{1,40}-{4}|\Z)"
    )),
    ("JWT", "eyJ", re.compile(
        r"(?<![\w.-])(?P<value>eyJ[\w-]{8,4000}\.eyJ[\w-]{8,4000}\.[\w-]{8,1000})"
    )),
)  # fmt: skip
_IN_URLS: tuple[_Pattern, ...] = (
    ("API_KEY", "=", re.compile(
        r"[?&](?i:(?:access_|auth_|id_|refresh_)?token|api_?key|(?:client_)?secret|sig|signature|password|pwd)="
        r"(?P<value>[^&\s\"'<>#]{6,400})"
    )),
    ("PASSWORD_IN_URL", "://", re.compile(
        r"\b[A-Za-z][A-Za-z0-9+.-]{1,20}://[^\s:/@\"'<>]{0,100}:"
        r"(?P<value>(?![*xX]{2,}@|<[^@]{0,80}>@|\$?\{[^@]{0,80}\}@|\$[A-Z_]{2,40}@)[^\s/@\"'<>]{1,100})@[\w.\[-]"
    )),
)  # fmt: skip

_SEPARATOR = r"[\"'`\]]{0,2}\s{0,3}(?:=>|:=|[:=]|>)\s{0,3}(?:[rbf]?[\"'`]{1,3})?"
_STRONG = (
    r"api[ _-]?key|secret(?:[ _-]?(?:access[ _-]?)?key)?|authorization"
    r"|(?:access|refresh|auth|bearer|private|bot)[ _-]?token"
)
_WEAK = (
    r"(?<!page)(?<!page[ _-])(?<!next[ _-])(?<!continuation[ _-])token"
    r"|(?:access|account|auth|signing|encryption|master|service|private|license|storage|function|host|session"
    r"|subscription)[ _-]?key|credentials?|auth|cookie|jwt"
)
_KEY = re.compile(
    rf"(?i)(?:(?P<strong>{_STRONG})|(?P<weak>{_WEAK}))"
    rf"(?:{_SEPARATOR}(?:(?:bearer|token)\s{{1,3}})?[\"']?|\s(?:is\s|bearer\s)?)"
    r"(?P<value>[\w./+~!@#$%^*?-]{16,4000}=*)"
)
_BEARER = re.compile(r"(?i)\bbearer[\"']?(?:\s{0,3}[:=]\s{0,3}|\s{1,3})[\"']?(?P<value>[\w./+~-]{16,4000}=*)")
_BASIC = re.compile(r"(?i)\bbasic\s{1,3}(?P<value>[A-Za-z0-9+/]{8,400}={0,2})(?![A-Za-z0-9+/=])")
_PASSWORD = re.compile(
    rf"(?i)(?P<label>(?<![A-Za-z])(?:[A-Z0-9]{{1,20}}[_-]){{0,4}}"
    r"(?:password|passwd|passphrase|passwort|kennwort|contraseña|mot de passe|wachtwoord|senha|lösenord"
    r"|hasło|pwd|(?<=[_-])pass))"
    rf"(?:{_SEPARATOR}|\s(?:is|was|ist|es|est)\s[\"'`]?|(?<=--password)\s)"
    # Punctuation is part of a password, unless it ends a parameter, a field, an element or a quotation.
    r"(?P<value>(?:[^\s\"'`<>,;&]|(?<=\w)[\"'](?=\w)|<(?!/)(?=\S)|>(?=\S)"
    r"|[,;&](?=\S)(?![\"']?[\w -]*[\"']?[=:\"'{}\[\]])){6,200})"
)
_LABELS = (
    "key", "secret", "token", "authorization", "auth", "bearer", "credential", "session", "cookie", "jwt",
)  # fmt: skip
_PASSWORD_LABELS = (
    "passw", "passphrase", "kennwort", "contraseña", "mot de passe", "wachtwoord", "senha", "lösenord",
    "hasło", "pwd", "_pass", "-pass",
)  # fmt: skip

_PLACEHOLDER = re.compile(
    r"(?i)<.*|\$[{(].*|(?-i:\$[A-Z_]{2}[A-Z0-9_]*)|\{.*|\[.*|\(.*|%\(.*|%\w+%|.*(?:x{4}|\*{3}|\.{3}|\$\{|\{\{|<[a-z]).*"
    r"|.*(?:change.?(?:me|it|this)|replace.?(?:me|this|with)|place.?holder|insert|dummy|example"
    r"|redacted\b(?!-)|your[-_ ]?(?:own|api|secret|key|token|pass)).*"
    r"|(?:my|the|a|an|some|your|new|old|current|wrong|invalid|bad|weak|strong|default|test|fake)?[-_ ]?"
    r"(?:password|passwd|secret|passphrase|key|token|credential)s?[-_]?(?:here|value|hash|field)?"
    r"|none|null|nil|true|false|undefined|string|text|required|optional|hidden|masked|empty|value|values|missing"
    r"|invalid|incorrect|expired|disabled|enabled|reset|changed|updated|protected|encrypted|todo|unknown|n/a"
)
_NAME = r"_{0,2}[A-Za-z]+\d{0,2}(?:_+[A-Za-z0-9]+)*"
_EXPRESSION = re.compile(
    rf"(?:{_NAME}(?:\.|::|->))+{_NAME}(?:[(\[].*)?"
    r"|[A-Za-z_][\w.:>-]*\(.*|[A-Za-z_]\w*\[.*"
    r"|(?:https?|file|s3|gs|vault|arn|op):.*|/\w.*"
)
_DATE = re.compile(r"\d{4}-\d\d-\d\d.*|\d{1,2}[./]\d{1,2}[./]\d{2,4}.*")
_PLAIN_WORD = r"(?:(?:[a-z]+|[A-Z]+|[A-Z][a-z]+)\d{0,4}|v?\d{1,12})"
_WORDS = re.compile(rf"{_PLAIN_WORD}(?:[-_./:+ ]{_PLAIN_WORD})*")
_CAMEL = re.compile(r"[A-Z]*[a-z]*(?:[A-Z][a-z]+)*")
_UUID = re.compile(r"(?i)[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")
_JSON = "eyJ"  # a JSON object in base64, such as a token without a signature
_LOOK = 200  # characters of a value that decide whether it is random
_FEWEST_CHARS = 3  # distinct characters of a secret
_SHORTEST = 6  # characters of a password
_FEWEST_OF_A_WORD = 8  # letters of a password without anything else; a word only of an environment variable
_MOST_PARTS = 2  # words in a password; `at-least-8-characters` is prose


def find_credentials(text: str) -> Iterator[tuple[str, int, int]]:
    """Yield kind, start and end of each secret, graver kinds first; kinds may overlap."""
    yield from _find_marked(_GRAVE, text)
    for _, mark, shape in SECRET_SHAPES:
        if mark in text:
            for match in _compile(shape).finditer(text):
                if len(set(match[0])) >= _FEWEST_CHARS_OF_A_KEY and not _EXAMPLE.search(match[0]):
                    yield "API_KEY", *match.span()
    yield from _find_marked(_IN_URLS, text)
    lower = text.lower()
    for kind, labels, pattern, fits in _LABELLED:
        if any(map(lower.__contains__, labels)):
            for match in pattern.finditer(text):
                value = match["value"].rstrip(".,;)]}")
                if fits(match, value):
                    yield kind, match.start("value"), match.start("value") + len(value)


def _find_marked(patterns: Sequence[_Pattern], text: str) -> Iterator[tuple[str, int, int]]:
    for kind, mark, pattern in patterns:
        if mark in text:
            for match in pattern.finditer(text):
                if kind != "API_KEY" or not _is_placeholder(match["value"]):
                    yield kind, match.start("value"), match.end("value")


@cache
def _compile(shape: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![A-Za-z0-9])(?:{shape})(?![A-Za-z0-9])")


def _is_placeholder(value: str) -> bool:
    """Recognise documentation's stand-ins for a secret: `<your-key>`, `changeme`, `${VAR}`, `xxxx`."""
    return bool(_PLACEHOLDER.fullmatch(value)) or len(set(value)) < _FEWEST_CHARS


def _is_random(value: str) -> bool:
    """Recognise letters and digits that are no words, path or expression."""
    start = value[:_LOOK].strip("_-")
    if _is_placeholder(start) or _WORDS.fullmatch(start) or _EXPRESSION.fullmatch(start):
        return False
    if any(map(str.isdigit, value)):
        return any(map(str.isalpha, value))
    return not _CAMEL.fullmatch(start)


def _is_password(label: str, value: str) -> bool:
    if len(value) < _SHORTEST or any(other.fullmatch(value) for other in (_PLACEHOLDER, _EXPRESSION, _DATE)):
        return False
    if value.isalpha():
        # Prose puts a word after `password`; an environment variable, in capitals, has its value there.
        return len(value) >= _FEWEST_OF_A_WORD and (not _CAMEL.fullmatch(value) or label.isupper())
    return len(re.split(r"[-_./]", value)) <= _MOST_PARTS or not _WORDS.fullmatch(value)


def _is_user_and_password(value: str) -> bool:
    try:
        decoded = b64decode(value + "=" * (-len(value) % 4), validate=True).decode()
    except (Base64Error, UnicodeDecodeError):
        return False
    user, colon, password = decoded.partition(":")
    return bool(user and colon and password and decoded.isprintable())


_Rule = tuple[str, Sequence[str], re.Pattern[str], Callable[[re.Match[str], str], bool]]
_LABELLED: tuple[_Rule, ...] = (
    # A UUID is a key only after a strong label: sessions and requests have UUIDs as tokens.
    ("API_KEY", _LABELS, _KEY,
     lambda match, value: _is_random(value) and bool(match["strong"] or not _UUID.fullmatch(value))),
    ("API_KEY", ("bearer",), _BEARER, lambda _, value: _is_random(value) or value.startswith(_JSON)),
    ("PASSWORD", ("basic",), _BASIC, lambda _, value: _is_user_and_password(value)),
    ("PASSWORD", _PASSWORD_LABELS, _PASSWORD, lambda match, value: _is_password(match["label"], value)),
)  # fmt: skip
"""Kind, labels of which a text contains one, pattern, and the test of a value."""
