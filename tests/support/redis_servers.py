"""
Redis servers in company: a master with a replica and sentinels, and a cluster of three masters with a replica each on demand.

All from the one redis-server program, on free loopback ports, killed at the end of the block.
"""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import redis
from redis.crc import key_slot

from tests.support.patience import PATIENCE
from tests.support.servers import RedisServer, binary, free_port

SOON, NEVER = 500, 600_000
"""
Milliseconds until a silent server counts as dead: where one is killed, and everywhere else. On a busy machine a server that lives is
silent for seconds, and who lost its master then would fail tests that are about something else.
"""


def wait_for(question: Callable[[], object], what: str, seconds: float = PATIENCE) -> None:
    """Until it is true; an error of the servers counts as not yet."""
    deadline = time.monotonic() + seconds
    while True:
        with contextlib.suppress(redis.RedisError, OSError):
            if question():
                return
        assert time.monotonic() < deadline, f"did not happen in {seconds} s: {what}"
        time.sleep(0.02)


def client_of(server: RedisServer, password: str | None = None) -> Any:
    """A client of one server, whatever company it is in."""
    return redis.Redis(port=server.port, password=password, socket_timeout=60)


class SentinelPair:
    """
    A master, a replica and a sentinel that makes one of the other when `fail_over` kills it.

    Args:
        directory: everything goes into folders made here.
        options: of both servers.
        password: of both servers, if these options set one.
        sentinel_password: of the sentinel.
    """

    def __init__(self, directory: Path, *options: str, password: str | None = None, sentinel_password: str | None = None) -> None:
        self._directory = directory
        self._password = password
        self._sentinel_password = sentinel_password
        self.servers = [RedisServer(directory, "--repl-diskless-sync-delay", "0", *options) for _ in range(2)]
        self._sentinel: subprocess.Popen[bytes] | None = None
        self.port = free_port()

    @property
    def url(self) -> str:
        """With a sentinel first that is not there."""
        return f"redis+sentinel://127.0.0.1:{free_port()},127.0.0.1:{self.port}/shop/0"

    @property
    def master(self) -> RedisServer:
        """Who the sentinel says it is."""
        _, port = self._ask("GET-MASTER-ADDR-BY-NAME", "shop")
        return next(server for server in self.servers if server.port == int(port))

    @property
    def replica(self) -> RedisServer:
        return next(server for server in self.servers if server is not self.master)

    def fail_over(self) -> RedisServer:
        """Kill the master and wait until the replica is one; returns the killed."""
        gone = self.master
        self._ask("SET", "shop", "down-after-milliseconds", SOON)
        gone.kill()
        wait_for(lambda: self.master is not gone and client_of(self.master, self._password).role()[0] == b"master", "a promotion")
        self._ask("SET", "shop", "down-after-milliseconds", NEVER)
        return gone

    def _ask(self, *words: str | int) -> Any:
        asking: Any = redis.Redis(port=self.port, password=self._sentinel_password, socket_timeout=60)
        with contextlib.closing(asking):
            return asking.execute_command("SENTINEL", *words)

    def __enter__(self) -> Self:
        first, second = self.servers
        first.start()
        second.start()
        client_of(second, self._password).replicaof("127.0.0.1", str(first.port))
        wait_for(lambda: client_of(second, self._password).info("replication")["master_link_status"] == "up", "the replica follows")
        config = self._directory / "sentinel.conf"
        config.write_text(
            f"port {self.port}\nbind 127.0.0.1\ndir {self._directory}\nsentinel monitor shop 127.0.0.1 {first.port} 1\n"
            f"sentinel down-after-milliseconds shop {NEVER}\nsentinel failover-timeout shop 2000\n"
            + (f"sentinel auth-pass shop {self._password}\n" if self._password else "")
            + (f"requirepass {self._sentinel_password}\n" if self._sentinel_password else "")
        )
        with (self._directory / "sentinel.log").open("ab") as log:
            self._sentinel = subprocess.Popen(
                [binary("redis-server"), str(config), "--sentinel"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_for(lambda: bool(self._ask("REPLICAS", "shop")), "the sentinel knows the replica")
        self._ask("DEBUG", "tilt-trigger", 120_000)  # it would do nothing for half a minute after a stall of a busy machine
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        if self._sentinel is not None:
            self._sentinel.kill()
            self._sentinel.wait()
        for server in self.servers:
            server.kill()


class RedisCluster:
    """
    Three masters with all slots between them, and a replica of each if asked for. Who is killed is missed inside of `watchful` only.

    Args:
        directory: everything goes into folders made here.
        replicas: 0 or 1 for each master.
    """

    def __init__(self, directory: Path, *, replicas: int = 0) -> None:
        self._buses: dict[int, int] = {}
        self.masters = [self._server(directory) for _ in range(3)]
        self.replicas = [self._server(directory) for _ in range(3 * replicas)]

    def _server(self, directory: Path) -> RedisServer:
        bus = free_port()
        options = (
            "--cluster-enabled",
            "yes",
            "--cluster-node-timeout",
            str(2 * SOON),
            "--cluster-replica-validity-factor",
            "0",
            "--repl-diskless-sync-delay",
            "0",
        )
        server = RedisServer(directory, *options, "--cluster-port", str(bus))
        self._buses[server.port] = bus
        return server

    @property
    def url(self) -> str:
        return f"redis+cluster://{','.join(f'127.0.0.1:{server.port}' for server in self.masters)}"

    @property
    def servers(self) -> list[RedisServer]:
        return [*self.masters, *self.replicas]

    @contextlib.contextmanager
    def watchful(self) -> Iterator[None]:
        """A block in which a server that is killed is missed soon."""
        self._miss_after(2 * SOON)
        yield
        self._miss_after(NEVER)

    def _miss_after(self, milliseconds: int) -> None:
        for server in self.servers:
            if server.running:
                client_of(server).config_set("cluster-node-timeout", milliseconds)

    def is_whole(self) -> bool:
        """Whether every server that runs says that all slots have a master."""
        return all(client_of(server).cluster("INFO")["cluster_state"] == "ok" for server in self.servers if server.running)

    def owner(self, key: str) -> RedisServer:
        """The server that is master for a key now, as those that run say."""
        slot = key_slot(key.encode())
        asked = next(server for server in self.servers if server.running)
        for first, last, (_, port, *_), *_ in client_of(asked).execute_command("CLUSTER", "SLOTS"):
            if int(first) <= slot <= int(last):
                return next(server for server in self.servers if server.port == int(port))
        raise AssertionError(f"nobody has slot {slot}")

    def node_id(self, server: RedisServer) -> str:
        answer = client_of(server).execute_command("CLUSTER", "MYID")
        return answer.decode() if isinstance(answer, bytes) else str(answer)

    def replica_of(self, master: RedisServer) -> RedisServer:
        """The one that was given to a master."""
        return self.replicas[self.masters.index(master)]

    def __enter__(self) -> Self:
        for server in self.servers:
            server.start()
        for number, server in enumerate(self.masters):
            client = client_of(server)
            client.execute_command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
            client.execute_command("CLUSTER", "ADDSLOTSRANGE", number * 5462, min(number * 5462 + 5461, 16383))
        first = client_of(self.masters[0])
        for server in self.servers[1:]:
            first.execute_command("CLUSTER", "MEET", "127.0.0.1", server.port, self._buses[server.port])
        wait_for(self.is_whole, "the cluster is whole")
        for master, replica in zip(self.masters, self.replicas, strict=False):
            client = client_of(replica)
            wait_for(
                lambda client=client, master=master: client.execute_command("CLUSTER", "REPLICATE", self.node_id(master)),  # type: ignore[misc]
                "the replica knows its master",
            )
            wait_for(lambda client=client: client.info("replication")["master_link_status"] == "up", "the replica follows")  # type: ignore[misc]
        self._miss_after(NEVER)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        for server in self.servers:
            server.kill()
