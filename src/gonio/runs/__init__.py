"""The folder of a run: lock, checkpoints, metrics, the trained model, and results that say what they are of."""
