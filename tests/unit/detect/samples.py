"""Invented values of every kind, and texts that carry them."""

from __future__ import annotations

from pytest_llmops.detect.scanner import scan_texts

# Invented values; those with the shape of a vendor's key are put together here, to spare secret scanners.
VALUES = {
    "EMAIL_ADDRESS": ["tobias.merrivale@willow.co.uk", "a+b@mail.example.org", "x@m\u00fcnchen.de"],
    "CREDIT_CARD": ["4629 1830 5577 1940", "5555-5555-5555-4444", "378282246310005", "2223003122003222"],
    "IBAN_CODE": ["GB29NWBK60161331926819", "FR14 2004 1010 0505 0001 3M02 606"],
    "US_SSN": ["536-22-1234"],
    "PHONE_NUMBER": [
        "+44 20 7946 0958",
        "+1 (202) 555-0188",
        "(212) 555-0188",
        "212-555-0188",
        "1-800-356-9377",
    ],
    "IP_ADDRESS": ["62.19.249.107", "2a0f:10cb:40e7:1b0d:f339:103d:1a97:587"],
    "CRYPTO": ["1BoatSLRHtKNngkdXEeobR76b53LETtpyT"],
    "API_KEY": [
        "sk-" + "proj-a1B2" * 4,
        "ghp_" + "a1B2c3" * 6,
        "AKIA" + "Q1W2" * 4,
        "xoxb-" + "12345-" * 4 + "ab",
    ],
    "JWT": ["eyJ" + "hbGciOi" * 2 + ".eyJ" + "zdWIiOi" * 2 + "." + "dmFsdWU" * 3],
    "PASSWORD_IN_URL": ["Kestrel215!"],
    "PASSWORD": ["Kestrel215!", "correct horse battery".replace(" ", "9")],
    "NATIONAL_ID": ["131052-308T", "RSSMRA85T10A562S", "AB 12 34 56 C", "X1234567L", "123.456.789-09"],
    "PASSPORT": ["X4271903", "C01X00T47", "YA1234567"],
    "DATE_OF_BIRTH": ["1987-02-21", "21.02.1987", "2 March 1987", "Feb 21, 1987", "21 de febrero de 1987"],
    "ADDRESS": [
        "Lindenstraße 14, 50674 Köln",
        "12 rue de la Paix, 75002 Paris",
        "Calle de Alcalá 48, 28014 Madrid",
        "Storgatan 5, 111 51 Stockholm",
        "742 Evergreen Terrace, Springfield, OR 97403",
        "10 Downing Street, London SW1A 2AA",
    ],
    "PERSON": ["Maja Lindqvist", "J. R. Okonkwo", "Ana María de la Cruz", "Siobhán O'Neill"],
}
AROUND = {
    "PASSWORD": "the password is {} for now",
    "PASSWORD_IN_URL": "postgres://admin:{}@db.internal:5432/shop",
    "PASSPORT": "passport no. {} was shown",
    "DATE_OF_BIRTH": "The date of birth on file is {}.",
    "PERSON": "hello, my name is {} and my parcel is late",
}
CASES = [(kind, value) for kind, values in VALUES.items() for value in values]


def kinds(text: str) -> list[str]:
    (findings,) = scan_texts([text])
    return [finding.kind for finding in findings]


def carry(kind: str, value: str) -> str:
    return AROUND.get(kind, "Note: {}, please keep it.").format(value)
