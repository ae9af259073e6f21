"""The AutoGen variant on the attacked shop, whose orders hold what an attacker wrote into them."""

from golden._attacks.attacked import settings
from reference_app.variants import autogen


def answer(given):
    """As `reference_app.variants.autogen.answer`."""
    return autogen.answer(given, settings())
