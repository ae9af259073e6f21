"""What must not be there: personal data and secrets in texts and files, found, masked and replaced."""
