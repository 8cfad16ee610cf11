"""ConversationKey: whose conversation a turn belongs to. A plain value; how it is stored is the stores' matter."""

from __future__ import annotations

from dataclasses import dataclass, field

from rose_guard.errors import ConversationMemoryError


@dataclass(frozen=True, slots=True)
class ConversationKey:
    """Whose turns are counted together.

    Turns of a principal are counted over all of its threads, so that a fresh thread forgets nothing. Where there is no
    principal, turns are counted by thread. None and the empty text are two different names.

    Args:
        tenant: whose policy applies, from the constructor or an authenticated identity.
        principal: who speaks, as authenticated. Whoever can choose it can escape their counts.
        thread: which conversation it is.

    Raises:
        ConversationMemoryError: if one of them is neither text nor None.
    """

    tenant: str | None
    principal: str | None = field(repr=False)
    thread: str | None = field(repr=False)

    def __post_init__(self) -> None:
        if not all(isinstance(name, str | None) for name in (self.tenant, self.principal, self.thread)):
            raise ConversationMemoryError("tenant, principal and thread must be text or None")

    @property
    def counted_by(self) -> tuple[str | None, ...]:
        """The names that tell whose turns count: equal for two keys exactly where their turns are counted together.

        Raises:
            ConversationMemoryError: if there is neither a principal nor a thread.
        """
        if self.principal is not None:
            return "principal", self.tenant, self.principal
        if self.thread is not None:
            return "thread", self.tenant, self.thread
        raise ConversationMemoryError(
            "risky turns cannot be counted without knowing whose they are; name a principal or a thread"
        )
