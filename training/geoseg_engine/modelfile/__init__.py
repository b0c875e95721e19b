"""What a trained model is on disk: statistics, network, metadata."""
