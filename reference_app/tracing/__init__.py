"""The app's work step by step, for OpenTelemetry, LangSmith and the terminal; free of personal data."""

from reference_app.tracing.record import Step
from reference_app.tracing.steps import as_messages, export_to, record_steps, trace, trace_guard

__all__ = ["Step", "as_messages", "export_to", "record_steps", "trace", "trace_guard"]
