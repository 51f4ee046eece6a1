"""Downloads of addresses that strangers hand in: nothing of our own network can be reached through them.

Every hop (redirects are followed by hand) is checked anew: the host's name is resolved once, each of its
addresses must be a public one, and the connection goes to the very address that was checked, so that a name
that changes between check and use changes nothing. Proxies of the environment are not used: they would
resolve the name again.
"""

from __future__ import annotations

import errno
import http.client
import ipaddress
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, quote, urljoin, urlsplit

import certifi
import idna
from django.conf import settings

from assessment import drive
from mlcore.errors import AnalysisError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolver = Callable[[str, int], list[str]]
Progress = Callable[[float], None]

MAX_URL_LENGTH = 4096
MAX_REDIRECTS = 5
MAX_CONFIRM_PAGES = 1
CONNECT_TIMEOUT_S = 10.0
READ_TIMEOUT_S = 30.0
CHUNK_BYTES = 1 << 18
MAX_PAGE_BYTES = 1 << 20
RETRYABLE_STATUSES = frozenset((408, 425, 429, 500, 502, 503, 504))
REDIRECTS = frozenset((301, 302, 303, 307, 308))
USER_AGENT = "Wawancara/1 (recorded interview answers)"
NAT64 = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("64:ff9b:1::/48"))
_PAGE_START = re.compile(rb"^(?:\xef\xbb\xbf)?\s*<(?:!doctype\s+html|html|head|body|!--)", re.IGNORECASE)


@dataclass(frozen=True)
class Limits:
    """`total_s` covers everything: names, redirects, the body."""

    max_bytes: int
    total_s: float
    connect_s: float = CONNECT_TIMEOUT_S
    read_s: float = READ_TIMEOUT_S
    allow_hosts: tuple[str, ...] = ()

    @classmethod
    def from_settings(cls) -> Limits:
        allowed = tuple(host.lower() for host in settings.DOWNLOAD_ALLOW_HOSTS)
        return cls(settings.MAX_UPLOAD_MB * 1024 * 1024, settings.DOWNLOAD_TIMEOUT_S, allow_hosts=allowed)


@dataclass(frozen=True)
class Target:
    """A checked hop: connect to one of `addresses`, speak as if to `host`."""

    url: str
    scheme: str
    host: str
    port: int
    path: str
    addresses: tuple[str, ...]


@dataclass
class _Deadline:
    """Ends a connection that outlives the total time, also while it drips single bytes."""

    at: float
    passed: bool = False
    _socket: socket.socket | None = field(default=None)

    def left_s(self) -> float:
        left = self.at - time.monotonic()
        if self.passed or left <= 0:
            raise AnalysisError("download_failed", "The download took too long.", permanent=False)
        return left

    def _cut(self) -> None:
        self.passed = True
        if self._socket is not None:
            try:
                # Not SSLSocket.shutdown: that takes the TLS object away under the thread that reads.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
            except OSError as error:
                if error.errno not in (errno.ENOTCONN, errno.EBADF):
                    raise

    @contextmanager
    def watching(self, connected: socket.socket) -> Iterator[None]:
        self._socket = connected
        timer = threading.Timer(self.left_s(), self._cut)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            self._socket = None


def refused(reason: str) -> AnalysisError:
    return AnalysisError("url_refused", reason)


def failed(reason: str, *, permanent: bool = True) -> AnalysisError:
    return AnalysisError("download_failed", reason, permanent=permanent)


def resolve(host: str, port: int) -> list[str]:
    """All addresses of `host`, as the system's resolver gives them (this undoes decimal and octal spellings
    too)."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def is_public(text: str) -> bool:
    """Whether an address, and each IPv4 address that it carries inside, is on the public internet."""
    address = ipaddress.ip_address(text.partition("%")[0])
    return all(one.is_global and not one.is_multicast for one in (address, *_carried(address)))


def _carried(address: Address) -> Iterator[Address]:
    if isinstance(address, ipaddress.IPv4Address):
        return
    for inner in (address.ipv4_mapped, address.sixtofour, *(address.teredo or ())):
        if inner is not None:
            yield inner
    if any(address in network for network in NAT64) or int(address) >> 32 == 0:
        yield ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)


def check_url(url: str) -> SplitResult:
    """What can be said of an address without asking the network. Raises AnalysisError('url_refused')."""
    if len(url) > MAX_URL_LENGTH:
        raise refused(f"The address is longer than {MAX_URL_LENGTH} characters.")
    if any(character <= " " or character == "\x7f" for character in url) or "\\" in url:
        raise refused("The address has blanks, backslashes or control characters in it.")
    try:
        url.encode()
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise refused("This is not a usable address.") from error
    if parts.scheme not in ("http", "https"):
        raise refused("Only http and https addresses are fetched.")
    if parts.username is not None or parts.password is not None:
        raise refused("The address has a user name or password in it. Give a link that works without.")
    if not parts.hostname or port == 0:
        raise refused("The address names no host.")
    return parts


def direct_address(url: str) -> str:
    """`url` ready to be fetched: checked, and a Drive link turned into its file's. Raises AnalysisError."""
    url = url.strip()
    if "://" not in url and drive.is_drive(url.partition("/")[0].lower()):
        url = f"https://{url}"
    check_url(url)
    return drive.direct_url(url)


def _ascii_host(host: str) -> str:
    if host.isascii():
        return host.rstrip(".").lower()
    try:
        return idna.encode(host, uts46=True).decode()
    except idna.IDNAError as error:
        raise refused("The address has a host name that cannot exist.") from error


def _is_allowed(host: str, port: int, allow_hosts: tuple[str, ...]) -> bool:
    shown = f"[{host}]" if ":" in host else host
    return bool({host, shown, f"{shown}:{port}"} & set(allow_hosts))


def check_target(url: str, limits: Limits, resolver: Resolver) -> Target:
    """Resolve and check one hop. Raises AnalysisError('url_refused' or 'download_failed')."""
    parts = check_url(url)
    host = _ascii_host(parts.hostname or "")
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        addresses = resolver(host, port)
    except (OSError, UnicodeError) as error:
        raise failed(f"The host {host} was not found.", permanent=False) from error
    if not addresses:
        raise failed(f"The host {host} has no address.", permanent=False)
    if not _is_allowed(host, port, limits.allow_hosts) and not all(is_public(one) for one in addresses):
        raise refused("The address leads to a private or local network, from which nothing is fetched.")
    path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._")
    if parts.query:
        path += "?" + quote(parts.query, safe="/%:@!$&'()*+,;=~-._?")
    return Target(parts._replace(fragment="").geturl(), parts.scheme, host, port, path, tuple(addresses))


class _PinnedConnection(http.client.HTTPConnection):
    """Speaks to `target.host` over a connection to the address that was checked."""

    def __init__(self, target: Target, limits: Limits, deadline: _Deadline) -> None:
        super().__init__(target.host, target.port)
        self.default_port = 443 if target.scheme == "https" else 80
        self._target = target
        self._limits = limits
        self._deadline = deadline

    def connect(self) -> None:
        target = self._target
        self.sock = self._reach()
        self.sock.settimeout(min(self._limits.read_s, self._deadline.left_s()))
        if target.scheme == "https":
            context = ssl.create_default_context(cafile=certifi.where())
            secured = context.wrap_socket(
                self.sock, server_hostname=target.host, do_handshake_on_connect=False
            )
            self.sock = secured
            with self._deadline.watching(secured):
                secured.do_handshake()

    def _reach(self) -> socket.socket:
        """A connection to the first of the checked addresses that takes one (IPv6 may lead nowhere here)."""
        for address in self._target.addresses[:-1]:
            try:
                return self._dial(address)
            except OSError:
                continue
        return self._dial(self._target.addresses[-1])

    def _dial(self, address: str) -> socket.socket:
        timeout_s = min(self._limits.connect_s, self._deadline.left_s())
        return socket.create_connection((address, self._target.port), timeout_s)


@contextmanager
def _answering(target: Target, limits: Limits, deadline: _Deadline) -> Iterator[http.client.HTTPResponse]:
    connection = _PinnedConnection(target, limits, deadline)
    try:
        connection.connect()
        with deadline.watching(connection.sock):
            headers = {"User-Agent": USER_AGENT, "Accept": "*/*", "Accept-Encoding": "identity"}
            connection.request("GET", target.path, headers=headers | {"Connection": "close"})
            yield connection.getresponse()
    except ssl.SSLCertVerificationError as error:
        raise failed(f"The certificate of {target.host} is not valid: {error.verify_message}.") from error
    except (OSError, http.client.HTTPException) as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise AnalysisError("storage_full", "The server's disk is full.", permanent=False) from error
        deadline.left_s()
        slow = isinstance(error, TimeoutError)
        reason = "did not answer in time" if slow else f"broke the connection ({type(error).__name__})"
        raise failed(f"{target.host} {reason}.", permanent=False) from error
    finally:
        connection.close()


def download(
    url: str,
    destination: Path,
    *,
    limits: Limits | None = None,
    resolver: Resolver = resolve,
    on_progress: Progress | None = None,
) -> int:
    """Fetch `url` into the file `destination`; bytes written. The file is removed unless it is whole.

    Raises AnalysisError('url_refused', 'download_failed', 'too_large' or 'storage_full'); `permanent` is
    False where another try may help.
    """
    limits = limits or Limits.from_settings()
    deadline = _Deadline(time.monotonic() + limits.total_s)
    try:
        return _follow(
            direct_address(url), destination, limits, resolver, deadline, on_progress or (lambda share: None)
        )
    except BaseException:
        destination.unlink(missing_ok=True)
        raise


def _follow(
    url: str,
    destination: Path,
    limits: Limits,
    resolver: Resolver,
    deadline: _Deadline,
    on_progress: Progress,
) -> int:
    redirects = confirmed = 0
    while redirects <= MAX_REDIRECTS:
        deadline.left_s()
        target = check_target(url, limits, resolver)
        with _answering(target, limits, deadline) as response:
            if response.status in REDIRECTS:
                url, redirects = _next_url(target, response), redirects + 1
                continue
            _check_status(target, response)
            first = response.read(CHUNK_BYTES)
            if not _is_page(response, first):
                return _store(first, response, destination, limits, deadline, on_progress)
            following = _confirmation(target, first, response) if confirmed < MAX_CONFIRM_PAGES else None
            if following is None:
                raise failed(_page_message(target))
            url, confirmed = following, confirmed + 1
    raise failed(f"The address was redirected more than {MAX_REDIRECTS} times.")


def _next_url(target: Target, response: http.client.HTTPResponse) -> str:
    location = response.getheader("Location")
    if not location:
        raise failed(f"{target.host} redirects to nowhere (status {response.status}).")
    following = urljoin(
        target.url, location.strip().encode("latin-1").decode("utf-8", "replace").replace(" ", "%20")
    )
    if urlsplit(following).hostname == drive.SIGN_IN:
        raise failed("Google asks for a sign-in: share the file with anyone who has the link.")
    return drive.direct_url(check_url(following).geturl())


def _check_status(target: Target, response: http.client.HTTPResponse) -> None:
    if response.status != http.client.OK:
        permanent = response.status not in RETRYABLE_STATUSES
        raise failed(
            f"{target.host} answered with status {response.status} {response.reason}.", permanent=permanent
        )
    encoding = (response.getheader("Content-Encoding") or "identity").lower()
    if encoding != "identity":
        raise failed(f"{target.host} sends the file compressed ({encoding[:20]}), which was not asked for.")


def _is_page(response: http.client.HTTPResponse, first: bytes) -> bool:
    kind = (response.getheader("Content-Type") or "").partition(";")[0].strip().lower()
    return kind in ("text/html", "application/xhtml+xml") or bool(_PAGE_START.match(first[:512]))


def _confirmation(target: Target, first: bytes, response: http.client.HTTPResponse) -> str | None:
    if not drive.is_drive(target.host):
        return None
    page = first + response.read(max(MAX_PAGE_BYTES - len(first), 0))
    return drive.confirmed_url(page.decode("utf-8", "replace"), target.url)


def _page_message(target: Target) -> str:
    if drive.is_drive(target.host):
        return (
            "Google Drive gave a page, not a video: the file is not shared with anyone who has the link, "
            "is gone, or was downloaded too often today."
        )
    return f"{target.host} gave a page, not a video. Give the address of the file itself."


def _expected_bytes(response: http.client.HTTPResponse, limits: Limits) -> int | None:
    """What Content-Length promises (http.client drops it for chunked bodies)."""
    if response.length is not None and response.length > limits.max_bytes:
        raise _too_large(limits)
    return response.length


def _too_large(limits: Limits) -> AnalysisError:
    return AnalysisError("too_large", f"The file is larger than {limits.max_bytes // (1024 * 1024)} MB.")


def _store(
    first: bytes,
    response: http.client.HTTPResponse,
    destination: Path,
    limits: Limits,
    deadline: _Deadline,
    on_progress: Progress,
) -> int:
    left = _expected_bytes(response, limits)
    expected = None if left is None else left + len(first)
    written, chunk = 0, first
    with destination.open("wb") as out:
        while chunk:
            written += len(chunk)
            if written > limits.max_bytes:
                raise _too_large(limits)
            out.write(chunk)
            on_progress(min(written / expected, 1.0) if expected else 0.0)
            deadline.left_s()
            chunk = response.read1(CHUNK_BYTES)
    deadline.left_s()
    if expected is not None and written != expected:
        raise failed(f"The download broke off after {written} of {expected} bytes.", permanent=False)
    if written == 0:
        raise failed("The address gave an empty file.")
    return written
