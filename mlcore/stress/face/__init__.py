"""The face model: from a frame to a crop, a network and its training."""
