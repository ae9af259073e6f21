"""Which of several candidates is best on the same cases, or that nothing shows one to be."""
