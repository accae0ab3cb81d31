"""How long processes take: paired and interleaved, so that what slows the machine slows all of them."""

import os
import statistics
import time


class Runner:
    """A command whose output goes nowhere, started as cheaply as it can be."""

    def __init__(self, session, *words, stdin=os.devnull):
        self.words, self.environment = [str(word) for word in words], session.environment
        self.files = [(os.POSIX_SPAWN_OPEN, 0, str(stdin), os.O_RDONLY, 0),
                      (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
                      (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0)]

    def run(self):
        """Seconds from its start to its end."""
        start = time.perf_counter()
        pid = os.posix_spawnp(self.words[0], self.words, self.environment, file_actions=self.files)
        _, status = os.waitpid(pid, 0)
        seconds = time.perf_counter() - start
        if status != 0:
            raise SystemExit(f"{' '.join(self.words)}: status {status}")
        return seconds


class Race:
    """`runners` by name; those in `rarely` take part in one round of `every`."""

    def __init__(self, runners, rounds, rarely=(), every=1):
        self.times = {name: [] for name in runners}
        self.rounds_of = {name: [] for name in runners}
        for number in range(rounds + 1):
            # In turn from either end, the rare rounds too: what one leaves in the processor's caches, the next
            # one finds there.
            for name, runner in list(runners.items())[::1 if (number + number // every) % 2 else -1]:
                if name in rarely and number % every:
                    continue
                seconds = runner.run()
                # The first round fills caches.
                if number > 0 or name in rarely:
                    self.times[name].append(seconds)
                    self.rounds_of[name].append(number)

    def median(self, name):
        return statistics.median(self.times[name])

    def ratio(self, name, other):
        """The median of `name` divided by `other` in the rounds that both took part in."""
        others = dict(zip(self.rounds_of[other], self.times[other]))
        pairs = zip(self.rounds_of[name], self.times[name])
        return statistics.median(time / others[number] for number, time in pairs if number in others)
