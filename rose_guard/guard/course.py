"""Course: a turn under way, between one effect and the next."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rose_guard.guard.answer import Piece
    from rose_guard.guard.effect import Effect, Steps


class Course:
    """Steps, the effect or piece that they wait with, and what is being decoded for them.

    Args:
        steps: a turn's; they begin at once.

    Raises:
        Whatever a step raises, here and in :meth:`go_on` and :meth:`fail`.
    """

    def __init__(self, steps: Steps) -> None:
        self.deltas: Any = None  # a stream for threads or one for event loops, as whoever runs the course opens it
        self.pending: Effect | Piece | None = None
        self.result: Any = None
        self._steps = steps
        self.go_on(None)

    def go_on(self, outcome: Any) -> None:
        """Answer the effect that is pending, and come to the next; None is pending at the end."""
        try:
            self.pending = self._steps.send(outcome)
        except StopIteration as end:
            self.pending, self.result = None, end.value

    def fail(self, error: BaseException) -> None:
        """Say that the effect that is pending failed; the steps may know what then."""
        try:
            self.pending = self._steps.throw(error)
        except StopIteration as end:
            self.pending, self.result = None, end.value

    def close(self) -> None:
        """Go no further, and free what decodes for a thread."""
        self._steps.close()
        if self.deltas is not None and hasattr(self.deltas, "close"):
            self.deltas.close()
        self.deltas = None

    async def aclose(self) -> None:
        """As :meth:`close`, for what decodes for an event loop."""
        self._steps.close()
        if self.deltas is not None and hasattr(self.deltas, "aclose"):
            with suppress(RuntimeError):  # one that is being read by a cancelled task closes by itself
                await self.deltas.aclose()
        self.deltas = None
