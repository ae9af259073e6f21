"""The reference app beside the same app on other libraries: docs/variants.md."""
