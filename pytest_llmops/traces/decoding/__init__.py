"""
Traces that others wrote, as spans: OTLP, LangSmith runs and our own lines.

What comes from outside may be anything, so nothing is refused for its form and no text is dropped: what is
not where a format has it is an event `other fields` of its span.
"""
