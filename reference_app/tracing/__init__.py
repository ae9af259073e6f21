"""What the app does, step by step, for OpenTelemetry, LangSmith and the terminal; free of personal data."""

from reference_app.tracing.steps import as_messages, export_to, record_steps, trace, trace_guard

__all__ = ["as_messages", "export_to", "record_steps", "trace", "trace_guard"]
