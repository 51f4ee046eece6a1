"""How much of a recording is taken at a time, and until when; the site's gate asks before anything of it is read."""

MAX_CHUNK_BYTES = 8 * 1024 * 1024
LATE_S = 300.0
"""After the end of the interview the browser may send for so long what it still holds. Assumption."""
