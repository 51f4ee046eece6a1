"""Two hosts that share a PostgreSQL, a Valkey and a media folder, and nothing else, behind one nginx that sends each
request to the next of them."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from tests.assessment.test_postgres import postgres_url
from tests.browser.live_room import PANEL_ONLY
from tests.interviewsite import proxies
from tests.interviewsite.processes import (
    Running,
    clean_environment,
    free_port,
    running,
    running_valkey,
    wait_for,
)
from tests.interviewsite.proxies import Front, Person
from tests.rooms.pictures import smiling_picture

__all__ = ["postgres_url"]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

PASSWORD = "a long enough password"
WITHIN_S = 120.0
CONNECTIONS = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"
OF_ROOM = "SELECT count(*) FROM rooms_reading r JOIN rooms_room o ON o.id = r.room_id WHERE o.code = %s"


@dataclass(frozen=True)
class Host:
    port: int
    process: Running

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"


@dataclass(frozen=True)
class Cluster:
    front: Front
    first: Host
    second: Host
    database: str

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.database) as database:
            return database.execute(sql, values).fetchall()


@pytest.fixture(scope="module")
def cluster(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("hosts")
    front = Front.make(folder)
    with ExitStack() as stack:
        valkey = stack.enter_context(running_valkey(folder / "valkey"))
        shared = {
            "DATABASE_URL": postgres_url,
            "REDIS_URL": valkey.url,
            "MEDIA_STORAGE": f"file://{folder / 'media'}",
            "PUBLIC_URL": front.url,
            "INITIAL_PASSWORD": PASSWORD,
        }
        hosts = [stack.enter_context(host(folder / name, shared)) for name in "ab"]
        for one in hosts:
            one.process.says("Wawancara on", within_s=240)
        hosts[1].process.says("Models for live rooms loaded", within_s=240)  # where media go, see `in_a_call`
        served_by = {
            "proxy_http_version 1.1;": "proxy_http_version 1.1; add_header X-Host $upstream_addr always;"
        }
        stack.enter_context(proxies.nginx(front, [one.port for one in hosts], **served_by))
        yield Cluster(front, *hosts, postgres_url)
        for one in hosts:
            assert "Traceback" not in one.process.output()


@contextmanager
def host(folder: Path, shared: dict[str, str]) -> Iterator[Host]:
    """Started, not waited for: both prepare the same empty database."""
    folder.mkdir()
    port, environment = free_port(), clean_environment(VAR_DIR=str(folder), **shared)
    with running(
        ["serve", "--port", str(port), "--workers", "0"], folder / "serve.log", environment
    ) as process:
        yield Host(port, process)


@dataclass
class Talk:
    """A socket through the proxy, and all that came over it."""

    wire: ClientConnection
    heard: list[dict[str, Any]] = field(default_factory=list)

    async def say(self, kind: str, **fields: Any) -> None:
        await self.wire.send(json.dumps({"type": kind, **fields}))

    async def hear(self, *kinds: str) -> dict[str, Any]:
        async with asyncio.timeout(WITHIN_S):
            while True:
                self.heard.append(json.loads(await self.wire.recv()))
                if self.heard[-1]["type"] in kinds:
                    return self.heard[-1]

    async def listen(self, seconds: float) -> None:
        """To whatever comes, for so long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.hear("nothing that comes")

    async def closed(self) -> int | None:
        try:
            await self.hear("nothing that comes")
        except ConnectionClosed:
            return self.wire.close_code
        raise AssertionError("it is open")

    async def frames(self) -> None:
        """One a second, for ever."""
        while True:
            await self.wire.send(b"\x01" + bytes(8) + smiling_picture())
            await asyncio.sleep(1)


@dataclass(frozen=True)
class People:
    """A room, and what their browsers show of themselves."""

    code: str
    interviewer: Person
    candidate: Person


def meet(cluster: Cluster) -> People:
    interviewer = Person(cluster.front)
    assert interviewer.sign_in(PASSWORD).status_code == 302
    code, link = interviewer.make_room()
    return People(code, interviewer, Person(cluster.front).agree(link))


async def opened(cluster: Cluster, host: Host | None, people: People, who: str, path: str = "") -> Talk:
    """As often as it takes to get to `host`; wherever it leads, without one. A host that is gone is passed by."""
    cookies = getattr(people, who).cookies()
    address = f"/ws/rooms/{people.code}/{path}?as={who}"
    for _ in range(20):
        wire = await cluster.front.socket(address, cookies)
        response = wire.response
        assert response is not None
        if host is None or response.headers["X-Host"].split(", ")[-1] == host.address:
            return Talk(wire)
        await wire.close()
    raise AssertionError(f"{response.headers['X-Host']}, never {host}")


async def in_a_call(cluster: Cluster, people: People) -> tuple[Talk, Talk, Talk]:
    """The interviewer and the candidate's media on the second host, the candidate on the first."""
    panel = await opened(cluster, cluster.second, people, "interviewer")
    await panel.hear("welcome")
    talking = await opened(cluster, cluster.first, people, "candidate")
    await talking.hear("welcome")
    await panel.say("admit", peer=(await panel.hear("knock"))["peer"])
    await talking.hear("admitted")
    for one in (panel, talking):
        await one.say("join-room")
    media = await opened(cluster, cluster.second, people, "candidate", "analysis/")
    await media.hear("ready")
    return panel, talking, media


async def results(panel: Talk, count: int) -> list[dict[str, Any]]:
    for _ in range(count):
        await panel.hear("stress_analysis")
    return [one for one in panel.heard if one["type"] == "stress_analysis"]


def test_hosts_that_start_together_make_one_database_and_one_sign_in(cluster: Cluster) -> None:
    assert cluster.rows("SELECT username FROM auth_user ORDER BY 1") == [("hr",), ("interviewer",)]
    said = [host.process.output() for host in (cluster.first, cluster.second)]
    assert sorted(text.count("username=hr password=") for text in said) == [0, 1]


def test_a_room_works_wherever_its_sockets_end(cluster: Cluster) -> None:
    people = meet(cluster)
    asyncio.run(_over_two_hosts(cluster, people))


async def _over_two_hosts(cluster: Cluster, people: People) -> None:
    panel, talking, media = await in_a_call(cluster, people)
    sending = asyncio.create_task(media.frames())
    read = await results(panel, 4)
    times = [one["t"] for one in read]
    assert times == sorted(set(times)), "once each, in their order"

    began = time.monotonic()
    await talking.say("consent", scopes={"face": False, "voice": False})
    assert (await media.hear("capture"))["face"] is False
    while (await panel.hear("analysis-status"))["state"] != "off":
        assert time.monotonic() - began < WITHIN_S
    await panel.listen(2)  # one host says that it is off, another may just have had a result under way
    before = len(panel.heard)
    await panel.listen(3)  # frames come all the same
    sending.cancel()
    assert "stress_analysis" not in {one["type"] for one in panel.heard[before:]}
    assert cluster.rows(OF_ROOM, people.code) == [(0,)]

    await talking.say("consent", scopes={"face": True})
    while not (await media.hear("capture"))["face"]:
        pass
    sending = asyncio.create_task(media.frames())
    await results(panel, 2)
    sending.cancel()
    ended = people.interviewer.ask(
        "POST",
        f"/api/rooms/{people.code}/end",
        headers={"X-CSRFToken": people.interviewer.cookie("csrftoken")},
    )
    assert ended.status_code == 200, ended.text
    assert [await one.closed() for one in (panel, talking, media)] == [4410] * 3
    assert not {one["type"] for one in (*talking.heard, *media.heard)} & set(PANEL_ONLY)


def test_pages_leave_no_connections_behind(cluster: Cluster) -> None:
    """PostgreSQL takes 100 unless told otherwise."""
    signed_in = Person(cluster.front)
    assert signed_in.sign_in(PASSWORD).status_code == 302

    def browse(_number: int) -> set[int]:
        visitor = Person(cluster.front)
        visitor.session.cookies.update(signed_in.session.cookies)
        return {visitor.get("/rooms/").status_code for _ in range(15)}

    with ThreadPoolExecutor(10) as pool:
        assert list(pool.map(browse, range(10))) == [{200}] * 10
    wait_for(lambda: cluster.rows(CONNECTIONS)[0][0] < 30)


def test_who_was_on_a_host_that_died_goes_on_on_the_other(cluster: Cluster) -> None:
    people = meet(cluster)
    asyncio.run(_on_the_other_host(cluster, people))


async def _on_the_other_host(cluster: Cluster, people: People) -> None:
    panel, talking, media = await in_a_call(cluster, people)
    peer = next(one["you"] for one in talking.heard if one["type"] == "welcome")
    cluster.first.process.kill()
    assert await talking.closed() == 1006
    talking = await opened(cluster, None, people, "candidate")
    welcome = await talking.hear("welcome")
    assert (welcome["you"], welcome["state"]) == (peer, "admitted")
    await talking.say("join-room")
    while (await panel.hear("peer-joined"))["peer"] != peer:
        pass
    await talking.say("chat", text="Here again")
    assert (await panel.hear("chat"))["text"] == "Here again"
    sending = asyncio.create_task(media.frames())
    await results(panel, 2)
    sending.cancel()
    for _ in range(4):  # every other request would have gone to the host that is away
        assert people.interviewer.get(f"/rooms/{people.code}/").status_code == 200
    for one in (panel, talking, media):
        await one.wire.close()
