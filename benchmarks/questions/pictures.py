"""
Draws the pictures of the RAG-Anything variant: the shop's cards, and photos that customers send.

Usage, in the variant's environment, which has Pillow:

    .venv-raganything/bin/python -m benchmarks.questions.pictures
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

ROOT = Path(__file__).parents[2]
CARDS_AT = ROOT / "reference_app" / "variants" / "raganything" / "content"
PHOTOS_AT = ROOT / "golden" / "multimodal"
CARDS = {
    "ember-lights": [
        "Ember signal lights",
        "Green: ready to cook",
        "Green blinking: spark is on",
        "Orange: timer is running",
        "Blue: child lock is on",
        "Red: read the code on the dial",
    ],
    "merino-label": [
        "100% merino wool",
        "Wash at 40 degrees, wool cycle",
        "No bleach, no softener",
        "Dry flat, not in the tumbler",
        "Iron at one dot, inside out",
    ],
    "ridge-buttons": [
        "Ridge GPS buttons",
        "Power: hold 2 s for on or off",
        "Mark: save this place",
        "Plus and minus: zoom",
        "Page: next screen",
        "Back: hold 3 s to lock the keys",
    ],
    "pole-sleeve": [
        "Repair sleeve",
        "1 Push the sleeve over the break",
        "2 Centre it on the break",
        "3 Tape both ends, 3 turns each",
        "Fits poles up to 9.5 mm",
    ],
    "corrie-loading": [
        "Corrie 65: where things go",
        "Bottom: sleeping bag, spare clothes",
        "Middle, at the back: food, water, stove",
        "Middle, in front: tent fabric",
        "Top: rain jacket, first aid",
        "Lid: map, lamp, snacks",
    ],
    "lantern-modes": [
        "Glow camp lantern",
        "1 press: warm white, 40 hours",
        "2 presses: bright white, 6 hours",
        "3 presses: night light, 200 hours",
        "Hold 5 s: battery level",
    ],
}
PHOTOS = {  # lines, degrees of rotation
    "stove-display": (["EM-03", "SAFE STOP"], 4),
    "gps-screen": (["RIDGE", "R-07"], -3),
    "checkout-message": (["Payment", "E-214", "Pay again"], 0),
    "boot-tongue": (["FELLWIND", "EU 43", "MOORLAND"], -5),
    "mat-bag": (["Drift Wide", "Sleeping mat"], 6),
    "shirt-collar": (["Base layer", "Merino M"], -4),
}
SIZE, INK, GAP = 44, (35, 35, 40), 1.55


def main() -> None:
    CARDS_AT.mkdir(exist_ok=True, parents=True)
    PHOTOS_AT.mkdir(exist_ok=True, parents=True)
    for name, lines in CARDS.items():
        draw(lines, SIZE, (250, 248, 240)).save(CARDS_AT / f"{name}.png", optimize=True)
    for place, (name, (lines, degrees)) in enumerate(PHOTOS.items()):
        blur(draw(lines, 52, (205, 212, 200)), degrees, seed=place).save(
            PHOTOS_AT / f"{name}.png", optimize=True
        )


def draw(lines: list[str], size: int, paper: tuple[int, int, int]) -> Image.Image:
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.load_default(size)
    width = round(max(font.getlength(line) for line in lines)) + 2 * size
    picture = Image.new("RGB", (width, round((len(lines) + 0.7) * GAP * size)), paper)
    canvas = ImageDraw.Draw(picture)
    canvas.rectangle((6, 6, picture.width - 7, picture.height - 7), outline=INK, width=3)
    for place, line in enumerate(lines):
        canvas.text((size, (place + 0.4) * GAP * size), line, font=font, fill=INK)
    return picture.quantize(16)


def blur(picture: Image.Image, degrees: float, seed: int) -> Image.Image:
    """As a telephone takes it: not straight, not sharp, with noise; in 16 grey levels, which pack well."""
    import numpy as np
    from PIL import Image, ImageFilter

    straight = picture.convert("RGB")
    turned = straight.rotate(degrees, Image.Resampling.BICUBIC, expand=True, fillcolor=(120, 105, 90))
    grey = np.asarray(turned.filter(ImageFilter.GaussianBlur(1.2)).convert("L"), dtype=float)
    noisy = grey + np.random.default_rng(seed).normal(0, 7, grey.shape)
    return Image.fromarray((noisy.clip(0, 255) // 16 * 16).astype("uint8"))


if __name__ == "__main__":
    main()
