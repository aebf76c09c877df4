"""One file a step: the only layer that decides where things are read and written."""
