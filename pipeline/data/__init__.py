"""Reading, snapshots, splits, features and the embedded data."""
