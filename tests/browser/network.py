"""A browser in a network of its own, whose lines to this machine can be cut, made slow, and changed for one another.

The browser runs in a network namespace. Each of its interfaces is a TUN device whose packets this process carries to a
second one outside, so that loss, delay and rate are those of real IP packets below the browser, TCP and UDP alike, and
no qdisc is needed. Linux and root only.
"""

from __future__ import annotations

import fcntl
import heapq
import os
import random
import select
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

TUN = Path("/dev/net/tun")
# <linux/if_tun.h>: _IOW('T', 202, int), IFF_TUN and IFF_NO_PI.
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
PACKET_BYTES = 2048
MTU_BYTES = 1400
# RFC 2544: set aside for tests of networks, so that nothing real is there.
SITE_ADDRESS = "198.18.255.1"


class NoNetwork(Exception):
    """This machine does not let us have networks; says why."""


@dataclass(frozen=True)
class Weather:
    """How packets fare, in each direction. `queue_s`: longer than that nothing waits for a slow line."""

    loss: float = 0.0
    delay_s: float = 0.0
    bits_per_s: float | None = None
    queue_s: float = 1.0
    cut: bool = False


FINE = Weather()
CUT = Weather(cut=True)


def ip(*words: str) -> None:
    """Raises NoNetwork."""
    try:
        done = subprocess.run(["ip", *words], capture_output=True, text=True, timeout=20, check=False)
    except FileNotFoundError:
        raise NoNetwork("iproute2 is not installed") from None
    if done.returncode:
        raise NoNetwork(f"ip {' '.join(words)}: {done.stderr.strip()}")


def _tun(name: str) -> int:
    try:
        device = os.open(TUN, os.O_RDWR | os.O_NONBLOCK)
    except OSError as error:
        raise NoNetwork(f"{TUN}: {error.strerror}") from None
    try:
        fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
    except OSError as error:
        os.close(device)
        raise NoNetwork(f"TUN device {name}: {error.strerror}") from None
    return device


class _Pipe:
    """One direction of a line."""

    def __init__(self) -> None:
        self.free_s = 0.0
        self.waiting: list[tuple[float, int, bytes]] = []
        self.count = 0

    def take(self, packet: bytes, weather: Weather, now_s: float, chance: random.Random) -> bool:
        """Whether it will arrive."""
        if weather.cut or chance.random() < weather.loss:
            return False
        leaves_s = max(now_s, self.free_s)
        if weather.bits_per_s is not None:
            if leaves_s - now_s > weather.queue_s:
                return False
            leaves_s += 8 * len(packet) / weather.bits_per_s
        self.free_s = leaves_s
        self.count += 1
        heapq.heappush(self.waiting, (leaves_s + weather.delay_s, self.count, packet))
        return True


class Line:
    """An interface inside, and the way its packets take to this machine. `weather` may be set at any time."""

    def __init__(self, namespace: str, name: str, number: int, tag: str) -> None:
        self.namespace, self.name, self.weather = namespace, name, FINE
        self.inside, self.outside = f"198.18.{number}.2", f"198.18.{number}.1"
        self.host_name = f"{tag}h{number}"
        self.lost = self.carried = 0
        self._chance = random.Random(number)
        guest_name = f"{tag}g{number}"
        self._guest, self._host = _tun(guest_name), -1
        try:
            self._host = _tun(self.host_name)
            ip("link", "set", guest_name, "netns", namespace)
            ip("-n", namespace, "link", "set", guest_name, "name", name, "mtu", str(MTU_BYTES))
            ip("link", "set", self.host_name, "mtu", str(MTU_BYTES), "up")
            ip("addr", "add", self.outside, "peer", self.inside, "dev", self.host_name)
        except NoNetwork:
            self._close_devices()
            raise
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._carry, name=f"line {name}", daemon=True)
        self._thread.start()

    # -- What may happen to it ------------------------------------------------------------------

    def up(self) -> None:
        """The interface has its address, and all traffic goes this way."""
        ip("-n", self.namespace, "link", "set", self.name, "up")
        ip("-n", self.namespace, "addr", "replace", self.inside, "peer", self.outside, "dev", self.name)
        ip("-n", self.namespace, "route", "replace", "default", "dev", self.name, "src", self.inside)

    def down(self) -> None:
        """As when Wi-Fi is switched off: interface and address are gone, and the system knows."""
        ip("-n", self.namespace, "addr", "flush", "dev", self.name)
        ip("-n", self.namespace, "link", "set", self.name, "down")

    def close(self) -> None:
        self._stop.set()
        self._thread.join(timeout=5)
        self._close_devices()

    def _close_devices(self) -> None:
        for device in (self._guest, self._host):
            if device >= 0:
                os.close(device)  # the interface goes with it

    # -- Carrying -------------------------------------------------------------------------------

    def _carry(self) -> None:
        ways = {self._guest: (self._host, _Pipe()), self._host: (self._guest, _Pipe())}
        while not self._stop.is_set():
            ready, _, _ = select.select(
                list(ways), [], [], self._pause_s([pipe for _, pipe in ways.values()])
            )
            now_s = time.monotonic()
            for device in ready:
                self._read(device, ways[device][1], now_s)
            for target, pipe in ways.values():
                self._write(target, pipe, now_s)

    def _pause_s(self, pipes: list[_Pipe]) -> float:
        due_s = min((pipe.waiting[0][0] for pipe in pipes if pipe.waiting), default=float("inf"))
        return min(0.1, max(0.0, due_s - time.monotonic()))

    def _read(self, device: int, pipe: _Pipe, now_s: float) -> None:
        with suppress(BlockingIOError, OSError):  # nothing left; or the interface is down just now
            while packet := os.read(device, PACKET_BYTES):
                if not pipe.take(packet, self.weather, now_s, self._chance):
                    self.lost += 1

    def _write(self, target: int, pipe: _Pipe, now_s: float) -> None:
        while pipe.waiting and pipe.waiting[0][0] <= now_s:
            packet = heapq.heappop(pipe.waiting)[2]
            if self.weather.cut:
                self.lost += 1
                continue
            with suppress(OSError):  # the other end is down: lost, as on any line
                os.write(target, packet)
                self.carried += 1


class Network:
    """A namespace with two lines, of which `wifi` is up at first. `address`: of this machine, whichever line is up."""

    address = SITE_ADDRESS

    def __init__(self, name: str) -> None:
        self.name = name
        tag = f"t{os.getpid() % 100000}"
        ip("netns", "add", name)
        self.lines: list[Line] = []
        try:
            ip("-n", name, "link", "set", "lo", "up")
            ip("addr", "replace", f"{SITE_ADDRESS}/32", "dev", "lo")
            for number, interface in enumerate(("wlan0", "wwan0")):
                self.lines.append(Line(name, interface, number, tag))
            self.wifi.up()
        except NoNetwork:
            self.close()
            raise

    @property
    def wifi(self) -> Line:
        return self.lines[0]

    @property
    def mobile(self) -> Line:
        return self.lines[1]

    def to_mobile(self) -> None:
        """Out of the reach of Wi-Fi: another interface, another address, and the old one is gone."""
        self.mobile.up()
        self.wifi.down()

    def to_wifi(self) -> None:
        """As at first, in fine weather."""
        self.wifi.weather = self.mobile.weather = FINE
        self.wifi.up()
        self.mobile.down()

    def launcher(self, program: Path, folder: Path) -> Path:
        """A script that runs `program` inside."""
        script = folder / f"in-{self.name}.sh"
        script.write_text(f'#!/bin/sh\nexec ip netns exec {self.name} {program} "$@"\n')
        script.chmod(0o755)
        return script

    def close(self) -> None:
        for line in self.lines:
            line.close()
        with suppress(NoNetwork):
            ip("addr", "del", f"{SITE_ADDRESS}/32", "dev", "lo")
        ip("netns", "del", self.name)


@contextmanager
def network() -> Iterator[Network]:
    """Raises NoNetwork where this machine lets nobody have one (not Linux, not root, a container without rights)."""
    made = Network(f"wawancara-{os.getpid()}")
    try:
        yield made
    finally:
        made.close()
