"""Credentials for TURN: their form, and a real coturn that takes them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
import socket
import struct
import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rooms.models import Participant
from rooms.turn import ice_servers
from tests.interviewsite.processes import free_port

TURNSERVER = Path("/usr/bin/turnserver")
SECRET = "a secret of this test"
REALM = "wawancara.example"
COOKIE = 0x2112A442
ALLOCATE, SUCCESS, FAILURE = 0x0003, 0x0103, 0x0113
USERNAME, INTEGRITY, ERROR_CODE, REALM_OF, NONCE, TRANSPORT = 0x0006, 0x0008, 0x0009, 0x0014, 0x0015, 0x0019


def make_place() -> Participant:
    return Participant(uuid=uuid.uuid4())


def test_without_servers_there_are_none(settings: Any) -> None:
    settings.STUN_URLS = settings.TURN_URLS = ()
    assert ice_servers(make_place()) == []


def test_credentials_name_their_end_and_the_peer(settings: Any) -> None:
    settings.STUN_URLS = ("stun:stun.example:3478",)
    settings.TURN_URLS = ("turn:turn.example:3478", "turns:turn.example:5349")
    settings.TURN_SECRET, settings.TURN_HOURS = SECRET, 2
    place = make_place()
    before = int(time.time())
    stun, turn = ice_servers(place)
    assert stun == {"urls": ["stun:stun.example:3478"]}
    assert turn["urls"] == ["turn:turn.example:3478", "turns:turn.example:5349"]
    expiry, _colon, peer = turn["username"].partition(":")
    assert peer == place.peer
    assert before + 7200 <= int(expiry) <= int(time.time()) + 7200
    expected = hmac.new(SECRET.encode(), turn["username"].encode(), hashlib.sha1).digest()
    assert base64.b64decode(turn["credential"]) == expected


# -- A client of RFC 8656, as far as an allocation goes ----------------------------------------


def attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("!HH", kind, len(value)) + value + bytes(-len(value) % 4)


def message(attributes: bytes, key: bytes | None = None) -> bytes:
    transaction = secrets.token_bytes(12)

    def header(length: int) -> bytes:
        return struct.pack("!HHI", ALLOCATE, length, COOKIE) + transaction

    if key is None:
        return header(len(attributes)) + attributes
    signed = (
        header(len(attributes) + 24) + attributes
    )  # the length counts the signature already (RFC 8489, 14.5)
    return signed + attribute(INTEGRITY, hmac.new(key, signed, hashlib.sha1).digest())


def parsed(data: bytes) -> tuple[int, dict[int, bytes]]:
    kind, length = struct.unpack("!HH", data[:4])
    found, at = {}, 20
    while at < 20 + length:
        name, size = struct.unpack("!HH", data[at : at + 4])
        found.setdefault(name, data[at + 4 : at + 4 + size])
        at += 4 + size + (-size % 4)
    return kind, found


def asked(client: socket.socket, packet: bytes) -> tuple[int, dict[int, bytes]]:
    """The server's answer to this very packet; UDP, so asked again while it starts."""
    for _ in range(60):
        try:
            client.send(packet)
            while (answer := client.recv(2048))[8:20] != packet[8:20]:
                pass  # to an earlier one, which was sent twice
            return parsed(answer)
        except OSError:  # not there yet
            time.sleep(0.1)
    raise AssertionError("turnserver does not answer.")


def allocate(port: int, username: str, password: str) -> tuple[int, dict[int, bytes]]:
    """Ask for a relayed UDP address with a long-term credential (RFC 8489, section 9.2)."""
    transport = attribute(TRANSPORT, bytes([17, 0, 0, 0]))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(2)
        client.connect(("127.0.0.1", port))
        _kind, challenge = asked(client, message(transport))
        realm, nonce = challenge[REALM_OF], challenge[NONCE]
        key = hashlib.md5(b":".join((username.encode(), realm, password.encode()))).digest()
        fields = transport + attribute(USERNAME, username.encode())
        fields += attribute(REALM_OF, realm) + attribute(NONCE, nonce)
        return asked(client, message(fields, key))


@pytest.fixture
def coturn(tmp_path: Path) -> Iterator[int]:
    if not TURNSERVER.exists():
        pytest.skip("turnserver is not installed")
    port = free_port()
    configuration = tmp_path / "turnserver.conf"
    lines = (
        f"listening-port={port}",
        "listening-ip=127.0.0.1",
        "relay-ip=127.0.0.1",
        "use-auth-secret",
        f"static-auth-secret={SECRET}",
        f"realm={REALM}",
        "no-tls",
        "no-dtls",
        "no-cli",
        f"pidfile={tmp_path / 'turnserver.pid'}",
        f"userdb={tmp_path / 'turn.sqlite'}",
        "log-file=stdout",
    )
    configuration.write_text("\n".join(lines) + "\n")
    with (tmp_path / "turnserver.log").open("wb") as log:
        process = subprocess.Popen(
            [TURNSERVER, "-c", configuration], stdout=log, stderr=log, env={**os.environ}
        )
    yield port
    process.kill()
    process.wait(10)


def error_of(fields: dict[int, bytes]) -> int:
    code = fields[ERROR_CODE]
    return code[2] * 100 + code[3]


@pytest.mark.slow
def test_a_real_coturn_takes_them_and_no_others(coturn: int, settings: Any) -> None:
    settings.STUN_URLS = ()
    settings.TURN_URLS = (f"turn:127.0.0.1:{coturn}",)
    settings.TURN_SECRET, settings.TURN_HOURS = SECRET, 1
    (server,) = ice_servers(make_place())
    kind, fields = allocate(coturn, server["username"], server["credential"])
    assert kind == SUCCESS, fields
    kind, fields = allocate(coturn, server["username"], "not the password")
    assert (kind, error_of(fields)) == (FAILURE, 401)
    longer = f"{int(time.time()) + 10**6}:{'0' * 32}"  # an end of one's own with the password of another
    kind, fields = allocate(coturn, longer, server["credential"])
    assert (kind, error_of(fields)) == (FAILURE, 401)


@pytest.mark.slow
def test_a_real_coturn_refuses_them_after_their_time(coturn: int, settings: Any) -> None:
    settings.STUN_URLS = ()
    settings.TURN_URLS = (f"turn:127.0.0.1:{coturn}",)
    settings.TURN_SECRET, settings.TURN_HOURS = SECRET, -1
    (server,) = ice_servers(make_place())
    kind, fields = allocate(coturn, server["username"], server["credential"])
    assert (kind, error_of(fields)) == (FAILURE, 401)
