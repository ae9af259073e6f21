"""
A receiver on loopback for what other processes say of a case, and clients without spans: OTLP and LangSmith.

Only the setting `receive` opens it. A request is answered when its spans are where they belong; what could
not be read is an error of the suite.
"""
