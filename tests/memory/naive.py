"""The laws of counting and forgetting, written as plainly as can be: every turn is kept."""


class Full(Exception):  # noqa: N818 - what the memory would say
    pass


class NaiveMemory:
    def __init__(self, windows, room):
        self.windows, self.room = windows, room
        self.turns = {}

    def count_and_add(self, key, turn, labels):
        whose = (key.tenant, "p", key.principal) if key.principal is not None else (key.tenant, "t", key.thread)
        counts = {label: self._count(whose, label, turn) for label in labels}
        added = [(label, turn.digest, turn.at) for label in turn.labels if label in labels]
        if added and whose not in self.turns:
            if len(self.turns) == self.room:
                self._forget_one(turn.at)
            self.turns[whose] = []
        if added:
            self.turns[whose] += added
        return counts

    def _count(self, whose, label, turn):
        after, within_s = self.windows[label]
        digests = {d for one, d, at in self.turns.get(whose, []) if one == label and at > turn.at - within_s}
        return min(after, len(digests - {turn.digest}))

    def _forget_one(self, now):
        expired = {whose: expires for whose in self.turns if (expires := self._expires(whose)) <= now}
        calm = {whose: self._newest(whose) for whose in self.turns if not self._is_live(whose, now)}
        if not (expired or calm):
            raise Full
        del self.turns[min(expired or calm, key=(expired or calm).get)]

    def _expires(self, whose):
        return max(at + self.windows[label][1] for label, _, at in self.turns[whose])

    def _newest(self, whose):
        return max(at for _, _, at in self.turns[whose])

    def _is_live(self, whose, now):
        return any(
            len({d for one, d, at in self.turns[whose] if one == label and at > now - within_s}) >= after
            for label, (after, within_s) in self.windows.items()
        )
