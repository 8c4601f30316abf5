"""The board: what has arrived of each course, who is still missing, provinces against their targets."""
