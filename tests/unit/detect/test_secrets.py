"""Secrets by shape and by label, and what only looks like one; values are put together to spare scanners."""

from __future__ import annotations

from base64 import b64encode

import pytest

from pytest_llmops.detect.mask import mask_secrets
from pytest_llmops.detect.scanner import scan_secrets

A = "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8s9T0u1V2w3X4y5Z6"
HEX = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"
UUID = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"
BASIC = b64encode(b"ann:Kestrel215!").decode()
SHAPES = {
    "Anthropic": f"sk-ant-api03-{A}",
    "Hugging Face": f"hf_{A[:34]}",
    "Groq": f"gsk_{A}",
    "xAI": f"xai-{A}{A[:28]}",
    "Pinecone": f"pcsk_{A[:6]}_{A}",
    "Perplexity": f"pplx-{A[:48]}",
    "Replicate": f"r8_{A[:37]}",
    "Stripe webhook": f"whsec_{A[:32]}",
    "Stripe": f"rk_live_{A[:24]}",
    "npm": f"npm_{A[:36]}",
    "PyPI": f"pypi-AgEIcHlwaS5vcmc{A}",
    "GitLab": f"glpat-{A[:20]}",
    "GitLab runner": f"glrt-{A[:20]}",
    "DigitalOcean": f"dop_v1_{HEX}{HEX}",
    "SendGrid": f"SG.{A[:22]}.{A[:43]}",
    "Shopify": f"shpat_{HEX}",
    "Slack webhook": f"services/T0{A[:8].upper()}/B0{A[:8].upper()}/{A[:24]}",
    "Slack app": f"xapp-1-A0{A[:9].upper()}-123456789012-{HEX}",
    "Discord webhook": f"112233445566778899/{A}{A[:16]}",
    "Telegram": f"123456789:AA{A[:33]}",
    "Twilio": f"SK{HEX}",
    "Google": f"AIza{A[:35]}",
    "Google client": f"GOCSPX-{A[:28]}",
    "Azure client": f"{A[:3]}8Q~{A[:34]}",
    "AWS": "AKIA" + A[:16].upper(),
    "Notion": f"ntn_{A[:46]}",
    "Linear": f"lin_api_{A[:40]}",
    "Docker": f"dckr_pat_{A[:27]}",
    "Grafana": f"glsa_{A[:32]}_{HEX[:8]}",
    "Postman": f"PMAK-{HEX[:24]}-{HEX}{HEX[:2]}",
    "Vault": f"hvs.{A[:40]}",
    "Supabase": f"sbp_{HEX}{HEX[:8]}",
}
AROUND = {
    "Slack webhook": "https://hooks.slack.com/{}",
    "Discord webhook": "https://discord.com/api/webhooks/{}",
}


def kinds(text: str) -> list[str]:
    return [secret.kind for secret in scan_secrets(text)]


@pytest.mark.parametrize("vendor", SHAPES)
def test_a_key_is_known_by_its_shape_alone(vendor):
    value = SHAPES[vendor]
    text = f"We use {AROUND.get(vendor, '{}').format(value)} here"

    ((start, end),) = [(secret.start, secret.end) for secret in scan_secrets(text)]

    assert text[start:end] == value
    assert value not in mask_secrets(text)


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        (f"Protocol=https;AccountName=shop;AccountKey={A}{A[:34]}==;", "API_KEY", f"{A}{A[:34]}=="),
        (f"Endpoint=sb://a.example/;SharedAccessKey={A[:43]}=", "API_KEY", f"{A[:43]}="),
        (f"aws_secret_access_key = {A[:40]}", "API_KEY", A[:40]),
        (f'"SecretAccessKey": "{A[:20]}/{A[20:39]}"', "API_KEY", f"{A[:20]}/{A[20:39]}"),
        (f"x-api-key: {HEX}", "API_KEY", HEX),
        (f"clientSecret: '{A[:32]}'", "API_KEY", A[:32]),
        (f'{{"token": "{HEX}"}}', "API_KEY", HEX),
        (f"Authorization: Bearer {A}", "API_KEY", A),
        (f"OPENAI_API_KEY={A[:32]}", "API_KEY", A[:32]),
        (f"HEROKU_API_KEY={UUID}", "API_KEY", UUID),
        ("DB_PASSWORD=Kestrel215!", "PASSWORD", "Kestrel215!"),
        ("DB_PASSWORD=aB3$dE6(hIj)9l", "PASSWORD", "aB3$dE6(hIj)9l"),
        ("password: Tr0ub4dor&3xyz", "PASSWORD", "Tr0ub4dor&3xyz"),
        ("password is hunter22,2024;end of it", "PASSWORD", "hunter22,2024;end"),
        ("""password: xY9'quo"te77""", "PASSWORD", """xY9'quo"te77"""),
        ('{"password":"abc123!x","user":"bob"}', "PASSWORD", "abc123!x"),
        ("Password=abc12!xx;User Id=sa;", "PASSWORD", "abc12!xx"),
        ("<password>abc123!x</password>", "PASSWORD", "abc123!x"),
        ("MYSQL_ROOT_PASSWORD=swordfish", "PASSWORD", "swordfish"),
        ("SMTP_PASS=k3strel-9x", "PASSWORD", "k3strel-9x"),
        ("postgres://app:$Kv28+x@db/x", "PASSWORD_IN_URL", "$Kv28+x"),
        ('{"password": "upONCQvOs"}', "PASSWORD", "upONCQvOs"),
        ('{"user": "ann", "password": "Kestrel215!"}', "PASSWORD", "Kestrel215!"),
        ("password is Kestrel215!", "PASSWORD", "Kestrel215!"),
        ("Passwort: Kestrel215!", "PASSWORD", "Kestrel215!"),
        ("Server=db;User Id=sa;Password=Kestrel215!;Encrypt=yes", "PASSWORD", "Kestrel215!"),
        ("mysql --user ann --password Kestrel215!", "PASSWORD", "Kestrel215!"),
        ("<password>Kestrel215!</password>", "PASSWORD", "Kestrel215!"),
        (f"Authorization: Basic {BASIC}", "PASSWORD", BASIC),
    ],
)  # fmt: skip
def test_a_label_names_a_secret(text, kind, value):
    ((found, start, end),) = [(secret.kind, secret.start, secret.end) for secret in scan_secrets(text)]

    assert found == kind
    assert text[start:end].rstrip("!?") == value.rstrip("!?")


def test_the_key_of_a_service_account_is_found_in_its_file():
    begin, end = (f"-----{each} {'PRIVATE'} KEY-----" for each in ("BEGIN", "END"))
    text = f'{{"type": "service_account", "private_key": "{begin}\\nMIIEvQ{A}\\n{end}\\n"}}'

    assert "PRIVATE_KEY" in kinds(text)


@pytest.mark.parametrize(
    "text",
    [
        "api_key=<your-key> secret: changeme token=${TOKEN} password=xxxxxxxx",
        "OPENAI_API_KEY=sk-xxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "OPENAI_API_KEY=your-api-key-here-please",
        "password: ******** Password=***REDACTED*** pwd=********",
        "The password is required. Password: at-least-8-characters",
        "password = getpass.getpass(); token = os.environ['TOKEN']; api_key=settings.openai_api_key",
        "api_key=config.get_secret_value(name) password: str = Field(default=None)",
        "max_tokens=4096, token_count: 17, prompt_tokens=4111, secret_name: shop-db-credentials-1",
        "secretKeyRef: name: shop-production-secrets key: database-url-2024",
        "secret: projects/123456/secrets/shop-db-password/versions/12",
        f"etag {HEX} commit bea5a439fe69559f08724ca60eb8afca6910cbb9 id 0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0",
        f"session_id: {HEX} session.id={HEX} nextPageToken: {A} next_page_token={A}",
        "request token: 0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0",
        f"data:image/png;base64,iVBORw0KGgo{A}{A}/{A}+{A}==",
        f"sha256:{HEX}{HEX} integrity=sha512-{A}{A[:34]}==",
        "Reset your password: https://shop.example/reset/2024",
        "password_expires_at: 2026-11-25 password: 2026-11-25T12:00",
        "The bearer of this letter, the token economy and the secret garden",
        "basic authentication, basic Y29sb3Vy and Basic plan 2024",
        "task-force-of-the-north-and-south-2024 sk-learn-contrib-examples",
        '{"type": "object", "required": ["password", "token"]}',
        "_enforce_credentials=_enforce_credentials, api_key = _legacy_provider_of_keys",
        "signature: _LegacyRuntimeSignature token: MySecretTokenClassName",
        "postgres://app:${DB_PASSWORD}@db/x postgres://app:$DB_PASSWORD@db/x postgres://app:<password>@db/x",
        "pass-through: 12345678 bypass=abcdef12",
    ],
)
def test_what_looks_like_a_secret_is_none(text):
    assert [text[secret.start : secret.end] for secret in scan_secrets(text)] == []
