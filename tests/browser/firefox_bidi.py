"""Firefox as Debian ships it, for a Playwright that knows a newer one.

Playwright starts this in Firefox's place and speaks WebDriver BiDi through it. What this Firefox does not know yet
(the emulation of media features, which Playwright asks for with every context) is answered here; all else passes.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from functools import partial

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.sync.server import ServerConnection, serve

FIREFOX = "/usr/bin/firefox-esr"
LISTENS = re.compile(r"WebDriver BiDi listening on (ws://\S+)")
ANSWERED_HERE = frozenset({"emulation.setMediaFeaturesOverride"})


def _pass_on(source: ClientConnection, target: ServerConnection) -> None:
    try:
        for message in source:
            target.send(message)
    except ConnectionClosed:
        pass
    target.close()


def _speak(address: str, client: ServerConnection) -> None:
    """One connection of Playwright's, until either side ends it."""
    path = client.request.path if client.request else "/session"
    with connect(address.rstrip("/") + path, max_size=None, compression=None) as firefox:
        threading.Thread(target=_pass_on, args=(firefox, client), daemon=True).start()
        for message in client:
            command = json.loads(message)
            if command["method"] in ANSWERED_HERE:
                client.send(json.dumps({"type": "success", "id": command["id"], "result": {}}))
            else:
                firefox.send(message)


def _stand_in(address: str) -> str:
    """Where Playwright is listened to instead of at `address`."""
    server = serve(partial(_speak, address), "127.0.0.1", 0, max_size=None, compression=None)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"ws://127.0.0.1:{server.socket.getsockname()[1]}"


def main(arguments: list[str]) -> int:
    """Firefox's exit status; Playwright learns the address from stderr, as it would from Firefox itself."""
    firefox = subprocess.Popen([FIREFOX, *arguments], stderr=subprocess.PIPE, text=True, errors="replace")
    assert firefox.stderr is not None
    for line in firefox.stderr:
        found = LISTENS.search(line)
        sys.stderr.write(f"WebDriver BiDi listening on {_stand_in(found[1])}\n" if found else line)
        sys.stderr.flush()
    return firefox.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
