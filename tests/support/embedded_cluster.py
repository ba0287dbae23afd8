"""
Several embedded brokers as one cluster, on one machine: to try here what happens to a cluster elsewhere.

Three nodes keep each record three times and acknowledge what two of them have. Each can be stopped, killed, frozen
and started again; it comes back with the same id, ports and data, also when this process is another one.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from services.shared.kafka.embedded.broker import EmbeddedBroker
from services.shared.kafka.embedded.broker_config import Node, Quorum, new_id
from services.shared.kafka.embedded.free_ports import free_port

HEAP_MB = 320


class EmbeddedCluster:
    """The brokers of one cluster, node 1 first; a folder for each lies in the cluster's."""

    def __init__(self, data: Path, nodes: int = 3, heap_mb: int = HEAP_MB) -> None:
        self.data = data.resolve()
        quorum = self._quorum(nodes)
        self.brokers = [
            EmbeddedBroker(self.data / f"node-{node.id}", node=node, quorum=quorum, heap_mb=heap_mb)
            for node in quorum.nodes
        ]
        self.bootstrap = quorum.bootstrap
        """The addresses of all nodes, for clients."""

    def start(self) -> None:
        """
        Start all nodes that do not run and return once each serves requests.

        Raises:
            Fatal: one could not start; the others are stopped.
        """
        waiting = [broker for broker in self.brokers if not broker.running]
        try:
            self._each(waiting, EmbeddedBroker.launch)
            self._each(waiting, EmbeddedBroker.wait_until_it_serves)
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """Stop all nodes, in order each; a frozen one is killed."""
        # All at once: the last ones could not hand over their partitions to anybody and would wait for it in vain.
        self._each(self.brokers, EmbeddedBroker.stop)

    def kill(self) -> None:
        """End all nodes at once."""
        for broker in self.brokers:
            broker.kill()

    def _quorum(self, count: int) -> Quorum:
        file = self.data / "nodes.json"
        if not file.exists():
            self.data.mkdir(parents=True, exist_ok=True)
            first = free_port(2 * count)
            nodes = tuple(Node(n + 1, first + n, first + count + n) for n in range(count))
            file.write_text(json.dumps({"cluster": new_id(), "nodes": nodes}))
        known = json.loads(file.read_text())
        return Quorum(known["cluster"], tuple(Node(*node) for node in known["nodes"]))

    @staticmethod
    def _each(brokers: list[EmbeddedBroker], do: Callable[[EmbeddedBroker], None]) -> None:
        with ThreadPoolExecutor(max(1, len(brokers))) as pool:
            list(pool.map(do, brokers))  # list(): raise the first error
