"""What a baseline keeps of a run, and what has to be made again or reported before it is compared with."""
