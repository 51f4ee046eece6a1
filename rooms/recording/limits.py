"""How much of a recording is taken at a time; the site's gate asks before anything of it is read."""

MAX_CHUNK_BYTES = 8 * 1024 * 1024
