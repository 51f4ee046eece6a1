"""nginx and Caddy as docs/deployment.md says to set them up, on ports and with certificates of the test's own."""

from __future__ import annotations

import os
import re
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter
from websockets.asyncio.client import ClientConnection, connect

from tests.interviewsite.processes import ROOT, free_port, wait_for

NAME = "interviews.example.org"
PAGE = ROOT / "docs" / "deployment.md"
AROUND_NGINX = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ }}
http {{
    access_log {folder}/access.log combined;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/recipe.conf;
}}
"""
BEFORE_CADDY = """
{{
    admin off
    skip_install_trust
    storage file_system {folder}/caddy
    http_port {http}
    https_port {https}
}}
"""


def recipe(language: str, part: str) -> str:
    """The code block in `language` of the page that has `part` in it."""
    blocks = re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    [found] = [block for block in blocks if part in block]
    return found


def swapped(text: str, changes: dict[str, str]) -> str:
    """`text` with other names; a name that is not in it (any more) fails the test."""
    for old, new in changes.items():
        assert old in text, f"{PAGE} has no {old!r} (any more)"
        text = text.replace(old, new)
    return text


@dataclass(frozen=True)
class Certificates:
    """An authority of the test's own, and a certificate by it for the name in the recipes."""

    authority: Path
    chain: Path
    key: Path

    @classmethod
    def make(cls, folder: Path) -> Certificates:
        folder.mkdir()
        made = cls(folder / "ca.pem", folder / "chain.pem", folder / "key.pem")
        (folder / "names").write_text(f"subjectAltName=DNS:{NAME}\n")
        key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
        for command in (
            f"req -x509 {key} -keyout ca.key -out ca.pem -days 2 -subj /CN=Authority",
            f"req {key} -keyout key.pem -out request.pem -subj /CN={NAME}",
            "x509 -req -in request.pem -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out chain.pem",
        ):
            subprocess.run(
                ["openssl", *command.split()], cwd=folder, check=True, capture_output=True, timeout=120
            )
        return made

    def fingerprint(self) -> str:
        """SHA-256 of the public key, as Chromium wants to be told whom to trust."""
        command = (
            f"openssl x509 -in {self.chain} -pubkey -noout | openssl pkey -pubin -outform der"
            " | openssl dgst -sha256 -binary | openssl base64"
        )
        done = subprocess.run(
            ["bash", "-c", command], check=True, capture_output=True, text=True, timeout=120
        )
        return done.stdout.strip()


@dataclass(frozen=True)
class Front:
    """Where the proxy listens, and what it shows."""

    folder: Path
    https: int
    http: int
    certificates: Certificates

    @classmethod
    def make(cls, folder: Path) -> Front:
        return cls(folder, free_port(), free_port(), Certificates.make(folder / "tls"))

    @property
    def host(self) -> str:
        return f"{NAME}:{self.https}"

    @property
    def url(self) -> str:
        return f"https://{self.host}"

    @property
    def access_log(self) -> str:
        return (self.folder / "access.log").read_text()

    def socket(
        self, path: str, cookies: str = "", origin: str = "", **options: Any
    ) -> AbstractAsyncContextManager[ClientConnection]:
        """A WebSocket through the proxy; from a page of the site unless `origin` says otherwise."""
        return connect(
            f"wss://{self.host}{path}",
            host="127.0.0.1",
            port=self.https,
            ssl=ssl.create_default_context(cafile=str(self.certificates.authority)),
            origin=origin or self.url,  # type: ignore[arg-type]
            additional_headers={"Cookie": cookies},
            open_timeout=60,
            **options,
        )


class _Here(HTTPAdapter):
    """The name of the recipes leads to this machine."""

    def init_poolmanager(self, *args: Any, **more: Any) -> None:
        super().init_poolmanager(*args, server_hostname=NAME, assert_hostname=NAME, **more)


class Person:
    """A browser as far as HTTP goes: cookies, and its name for where it comes from."""

    def __init__(self, front: Front, origin: str = "") -> None:
        self.front, self.origin = front, origin or front.url
        self.session = requests.Session()
        self.session.mount("https://", _Here())
        self.session.trust_env = False  # or a bundle that the environment names is believed instead
        self.session.verify = str(front.certificates.authority)

    def ask(self, method: str, path: str, origin: str = "", **more: Any) -> requests.Response:
        headers = {"Host": self.front.host, **more.pop("headers", {})}
        if method == "POST":
            headers["Origin"] = origin or self.origin
        address = f"https://127.0.0.1:{self.front.https}{path}"
        return self.session.request(
            method, address, headers=headers, timeout=60, allow_redirects=False, **more
        )

    def get(self, path: str, **more: Any) -> requests.Response:
        return self.ask("GET", path, **more)

    def post(self, path: str, origin: str = "", **fields: str) -> requests.Response:
        """A form of the site."""
        fields["csrfmiddlewaretoken"] = self.cookie("csrftoken")
        return self.ask("POST", path, origin, data=fields)

    def cookie(self, name: str) -> str:
        return next((one.value or "" for one in self.session.cookies if one.name == name), "")

    def cookies(self) -> str:
        """The Cookie header."""
        return "; ".join(f"{one.name}={one.value}" for one in self.session.cookies)

    def sign_in(self, password: str, name: str = "interviewer") -> requests.Response:
        self.get("/login/")
        return self.post("/login/", username=name, password=password)

    def make_room(self) -> tuple[str, str]:
        """Its code, and the path of the candidate's link."""
        wanted = {"title": "Engineer", "candidate_name": "Sari", "candidate_country": "ID", "language": "en"}
        headers = {"X-CSRFToken": self.cookie("csrftoken")}
        made = self.ask("POST", "/api/rooms/create", json=wanted, headers=headers)
        assert made.status_code == 201, made.text
        link = made.json()["candidate_link"]
        assert link.startswith("https://"), "PUBLIC_URL is where the candidate is sent"
        return made.json()["code"], "/" + link.split("/", 3)[3]

    def agree(self, path: str) -> Person:
        """The candidate, past the consent page with everything agreed to."""
        assert self.get(path).status_code == 200
        answer = self.post(path, choice="chosen", call="yes", face="yes", voice="yes")
        assert answer.status_code == 302, answer.text
        return self


@contextmanager
def running(command: list[str], log: Path, front: Front) -> Iterator[None]:
    """The proxy, until it listens on both ports; nothing of it is left behind."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(front.folder)}
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
    try:
        wait_for(lambda: process.poll() is not None or all(map(_listens, (front.https, front.http))))
        assert process.poll() is None, log.read_text()
        yield
    finally:
        process.kill()
        process.wait(60)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def nginx(front: Front, sites: list[int], **changes: str) -> Iterator[None]:
    """nginx by its recipe, before the sites on these ports of this machine."""
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        pytest.skip("nginx is not installed (Debian: apt-get install nginx)")
    text = recipe("nginx", "upgrade")
    if len(sites) > 1:
        [one] = re.findall(r"^upstream .*?^}$", text, re.MULTILINE | re.DOTALL)
        text = swapped(text, {one: recipe("nginx", "10.0.0.")})
    text = "\n".join(line for line in text.splitlines() if "[::]" not in line)
    text = swapped(text, _for_nginx(front, sites) | changes)
    (front.folder / "recipe.conf").write_text(text)
    configuration = front.folder / "nginx.conf"
    configuration.write_text(AROUND_NGINX.format(folder=front.folder))
    command = [
        program,
        "-c",
        str(configuration),
        "-p",
        str(front.folder),
        "-e",
        str(front.folder / "error.log"),
    ]
    with running(command, front.folder / "nginx.out", front):
        yield


def _for_nginx(front: Front, sites: list[int]) -> dict[str, str]:
    live = f"/etc/letsencrypt/live/{NAME}"
    addresses = (
        ["127.0.0.1:8000"] if len(sites) == 1 else [f"10.0.0.{11 + n}:8000" for n in range(len(sites))]
    )
    return {
        f"{live}/fullchain.pem": str(front.certificates.chain),
        f"{live}/privkey.pem": str(front.certificates.key),
        "listen 443 ": f"listen 127.0.0.1:{front.https} ",
        "listen 80;": f"listen 127.0.0.1:{front.http};",
        "https://$host$": f"https://$host:{front.https}$",
    } | {address: f"127.0.0.1:{port}" for address, port in zip(addresses, sites, strict=True)}


@contextmanager
def caddy(front: Front, site: int) -> Iterator[None]:
    """Caddy by its recipe; only the certificate is the test's."""
    tls = f"    tls {front.certificates.chain} {front.certificates.key}\n"
    changes = {f"{NAME} {{\n": f"{NAME} {{\n{tls}", "127.0.0.1:8000": f"127.0.0.1:{site}"}
    with _running_caddy(front, swapped(recipe("caddyfile", NAME), changes)):
        yield


@contextmanager
def caddy_in_a_lan(front: Front, site: int) -> Iterator[Path]:
    """Caddy by its recipe for an address instead of a name; the certificate of its own authority."""
    changes = {"192.168.1.10": "127.0.0.1", "127.0.0.1:8000": f"127.0.0.1:{site}"}
    with _running_caddy(front, swapped(recipe("caddyfile", "192.168."), changes)):
        yield front.folder / "caddy" / "pki" / "authorities" / "local" / "root.crt"


@contextmanager
def _running_caddy(front: Front, site: str) -> Iterator[None]:
    program = shutil.which("caddy")
    if program is None:
        pytest.skip("caddy is not installed (Debian: apt-get install caddy)")
    around = BEFORE_CADDY.format(folder=front.folder, http=front.http, https=front.https)
    configuration = front.folder / "Caddyfile"
    configuration.write_text(around + site)
    command = [program, "run", "--config", str(configuration), "--adapter", "caddyfile"]
    with running(command, front.folder / "caddy.out", front):
        yield
