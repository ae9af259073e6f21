"""What a customer says, made ready before anything is planned; no model is asked."""
