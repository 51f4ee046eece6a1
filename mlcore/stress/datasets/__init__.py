"""The public data sets that the models are trained on."""
