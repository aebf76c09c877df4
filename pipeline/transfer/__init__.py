"""How source knowledge reaches the target: adaptations and tunings, each a loss and a few lines of wiring."""
