"""
Converts traces of other tools to spans: OTLP, LangSmith runs and our own lines.

Input from outside may be anything, so nothing is refused for its form and no text is dropped: values in
unexpected places become an event `other fields` of their span.
"""
