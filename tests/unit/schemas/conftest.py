"""The schema ids of this process, put back after a test that takes others."""

from collections.abc import Iterator

import pytest

from schemas import codec, released


@pytest.fixture
def restored_ids() -> Iterator[None]:
    """Afterwards the ids are those of the lock."""
    yield
    codec.use_ids({f.path: f.lock_id for f in released.FILES})
