"""Two runs case by case: what their results hold, which cases ask the same, what chance does to them."""
