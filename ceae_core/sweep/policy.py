"""What becomes of a run whose worker has ended: the rules, apart from any engine."""

from dataclasses import dataclass

DONE, DIVERGED, BAD, DIED, MEMORY, BUSY = "done", "diverged", "bad", "died", "out of memory", "busy"
MOST_RESUMES = 3            # after the death of a worker or of its machine


@dataclass(frozen=True)
class Ending:
    """How an attempt at a run ended.

    done; diverged; bad: the run cannot be (a false setting, a missing file, an error of the program); died: its worker
    or machine did, or was told to stop; out of memory; busy: another process trains it.
    """

    how: str
    why: str = ""


@dataclass
class Account:
    """What has happened to one run: how often its worker died, and whether it needs the machine for itself."""

    deaths: int = 0
    alone: bool = False
    attempts: int = 0

    def next(self, ending: Ending) -> str | None:
        """"again", "later" (when whoever trains it is done) or None: it is at its end.

        A worker that dies is followed by up to MOST_RESUMES others, which continue from the last checkpoint; a run that
        does not fit into memory beside others gets one attempt alone; what is wrong in itself is never repeated.
        """
        self.attempts += ending.how != BUSY
        if ending.how == BUSY:
            return "later"
        if ending.how == MEMORY and not self.alone:
            self.alone = True
            return "again"
        if ending.how == DIED and self.deaths < MOST_RESUMES:
            self.deaths += 1
            return "again"
        return None
