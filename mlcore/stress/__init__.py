"""Stress levels read from faces and voices: data sets, models, training, evaluation, live use."""
