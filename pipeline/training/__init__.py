"""The one LightningModule, the trainer, checkpoints and resume; metrics go to a local file."""
