"""The wall: every GPU of a box at once, laid out by the size of the terminal alone."""
