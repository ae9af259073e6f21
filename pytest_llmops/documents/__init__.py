"""What files say, read strictly with its places, and how files are replaced."""
