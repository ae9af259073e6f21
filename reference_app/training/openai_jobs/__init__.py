"""The adapter's data through OpenAI's fine-tuning jobs."""
