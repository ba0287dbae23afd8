"""
On which port each service serves HTTP: of `tidemark dev`, of a service that is started by itself, and in prometheus.yaml.

A second process of a service on one machine (TIDEMARK_SLOT=1) is ten ports further, and so on.
"""

from __future__ import annotations

PORTS = {"ingest": 8080, "warehouse": 8081, "scorer": 8082, "alerter": 8083}

APART = {"console": 8084}
"""Ports of services that another service includes, and that run by themselves only if somebody wants them apart."""

_PORTS_A_SLOT = 10


def port_of(service: str, slot: int = 0) -> int:
    """Return the port of a service where TIDEMARK_HTTP_PORT sets none."""
    return (PORTS | APART)[service] + _PORTS_A_SLOT * slot
