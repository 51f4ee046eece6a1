"""Face and voice together."""
