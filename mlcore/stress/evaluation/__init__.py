"""What the models are worth: figures, pairs, cards."""
