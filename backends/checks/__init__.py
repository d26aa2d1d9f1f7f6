"""What every adapter promises to whoever reads: the contract's reading half, checked against what is really there.

`examine` asks a backend, live and of any size, a bounded number of small questions, changes nothing, and says of every
promise whether it is held, lacking (with the reason), broken (what was wanted, what was), or could not be seen, because
there was nothing to see it by. `context test` runs it against a server; the contract suite runs the same on every
adapter that comes along.

A promise is one function under `@promise`, in the module of what it is about: `lists`, `asking` (filters and orders),
`runs`, `models`, `files`, `kept`, `retention`, `figures`, `whole` (of the backend itself).
"""

from __future__ import annotations

from backends.checks.examine import examine, first_answer
from backends.checks.finding import Finding, Verdict

__all__ = ["Finding", "Verdict", "examine", "first_answer"]
