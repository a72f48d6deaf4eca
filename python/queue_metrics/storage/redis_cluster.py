"""Which node of a Redis Cluster has which slot. Asks when it does not know, follows no redirection, knows no keys of ours."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from queue_metrics.errors import StoreUnavailable

Node = tuple[str, int]


class ClusterMap:
    """
    The masters by slot, and a pool of connections to each.

    A redirection (MOVED, ASK) is answered by `forget` and a call that fails or is made again, never by sending to where it points: what
    the other node was told then would be no part of what a script or transaction was told here.

    Args:
        seeds: nodes to ask first.
        make_pool: makes a pool for a host and port; connects to nothing.
    """

    def __init__(self, seeds: Sequence[Node], make_pool: Callable[[str, int], Any]) -> None:
        self._seeds = list(seeds)
        self._make_pool = make_pool
        self._lock = threading.Lock()
        self._pools: dict[Node, Any] = {}
        self._ranges: list[tuple[int, int, Node]] = []  # of slots, first and last

    def pool_of(self, key: str | None) -> Any:
        """The pool of the master that has the key, or of any master."""
        from redis.crc import key_slot

        slot = 0 if key is None else key_slot(key.encode())
        with self._lock:
            for first, last, node in self._known():
                if first <= slot <= last or key is None:
                    return self._pool(node)
        self.forget()
        raise StoreUnavailable(f"no node of the cluster has slot {slot} now")

    def pools(self) -> list[Any]:
        """The pools of all masters."""
        with self._lock:
            return [self._pool(node) for node in dict.fromkeys(node for _, _, node in self._known())]

    def opened(self) -> list[Any]:
        """All pools that were ever used."""
        with self._lock:
            return list(self._pools.values())

    def forget(self) -> None:
        """Ask anew before the next use."""
        with self._lock:
            self._ranges = []

    def _pool(self, node: Node) -> Any:
        if node not in self._pools:
            self._pools[node] = self._make_pool(*node)
        return self._pools[node]

    def _known(self) -> list[tuple[int, int, Node]]:
        if not self._ranges:
            self._ranges = self._asked()
        return self._ranges

    def _asked(self) -> list[tuple[int, int, Node]]:
        """What the first node says that answers at all."""
        failure: Exception | None = None
        for node in dict.fromkeys([*self._seeds, *self._pools]):
            pool = self._pool(node)
            try:
                connection = pool.get_connection()
            except Exception as error:  # whatever it is, another node may know; the last one is raised
                failure = error
                continue
            try:
                connection.send_command("CLUSTER", "SLOTS")
                return list(_ranges(connection.read_response(), node[0]))
            except Exception as error:
                failure = error
                connection.disconnect()
            finally:
                pool.release(connection)
        assert failure is not None, "there is at least one seed"
        raise failure


def _ranges(answer: Iterable[Any], asked: str) -> Iterable[tuple[int, int, Node]]:
    """From the answer to CLUSTER SLOTS; a node that does not know its own address is the one that was asked."""
    for first, last, master, *_ in answer:
        host = master[0].decode() if isinstance(master[0], bytes) else master[0]
        yield int(first), int(last), (asked if host in (None, "", "?") else host, int(master[1]))
