"""What a measurement ran on: figures mean nothing without it."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

from services.shared.kafka.embedded.java import java


def facts() -> dict[str, Any]:
    """Return the machine, the versions, and how busy it was before anything was measured."""
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "java": _java(),
        "kafka": _kafka(),
        **{name: version(name) for name in ("faust-streaming", "aiokafka", "fastavro")},
        "load_before": [round(load, 2) for load in os.getloadavg()],
    }


def _cpu() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _java() -> str:
    told = subprocess.run([java(), "-version"], capture_output=True, text=True, check=False).stderr
    return told.splitlines()[0] if told else "unknown"


def _kafka() -> str:
    for line in Path("deploy/kafka/jars.lock").read_text("utf-8").splitlines():
        if line.startswith("org.apache.kafka:kafka-clients:"):
            return line.split()[0].rpartition(":")[2]
    return "unknown"
