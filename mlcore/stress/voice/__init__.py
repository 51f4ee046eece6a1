"""The voice model: from samples to frames, small networks and their training."""
