"""What `manage.py serve` and `manage.py work` are made of. Importing it starts and sets up nothing."""
