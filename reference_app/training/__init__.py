"""The app's LoRA adapter: its data, its training and its judgement."""
