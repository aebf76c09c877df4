"""What a run is made of beside its steps: where results lie, how a step is looked up, in which order steps run."""
