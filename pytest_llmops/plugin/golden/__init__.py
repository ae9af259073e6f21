"""Golden files as pytest collects, runs and reports them."""
