"""How a run gets on: a live line for each running task on a terminal, else plain lines that a log can keep."""

import sys
import time
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from rich.console import Console
from rich.progress import BarColumn, ProgressColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars
from rich.progress import Task as Bar
from rich.table import Column
from rich.text import Text

from pipeline.runs.graph import EVALUATE, TRAINING
from pipeline.runs.history import last_shown
from pipeline.runs.progress import Progress, seconds_before, seconds_left

if TYPE_CHECKING:
    from pipeline.runs.graph import Graph, Node
    from pipeline.runs.processes import Outcome
    from pipeline.runs.run import Run

_WIDE = 110  # columns that also hold bars and messages
_REST = 46  # columns that epochs and times take
EVERY = 30.0  # seconds between two lines about one training where nobody looks on


@dataclass
class Pace:
    """When the epochs of one task ended, in seconds since it began."""

    began: float
    first: tuple[int, float] | None = None
    last: tuple[int, float] = (0, 0.0)
    epochs: int = 0
    told: float = 0.0  # when a plain line last spoke of it

    def note(self, epoch: int, epochs: int, now: float) -> None:
        """Take the end of an epoch down."""
        self.last, self.epochs = (epoch, now), epochs
        self.first = self.first or self.last

    def left(self, now: float) -> float | None:
        """Seconds until all epochs have ended; None until two have told how long one takes. It may stop earlier."""
        if self.first is None or self.last[0] <= self.first[0]:
            return None
        each = (self.last[1] - self.first[1]) / (self.last[0] - self.first[0])
        return max(0.0, each * (self.epochs - self.last[0]) - (now - self.last[1]))


@dataclass
class Shown:
    """Shows what `run_graph` tells; to be called with each message, inside a `with` block.

    Args:
        run: The run.
        graph: Its tasks.
        jobs: How many work at a time.
        summed: Whether findings are told at the end anyway, so that they need not be told twice.
    """

    run: "Run"
    graph: "Graph"
    jobs: int
    summed: bool = False

    def __post_init__(self) -> None:
        self.live = sys.stderr.isatty()
        self.console = Console(stderr=True, highlight=False, markup=False)
        self.before = seconds_before(self.run)
        self.paces: dict[Node, Pace] = {}
        self.left = set(self.graph)
        self.computed = False
        self.withheld: list[str] = []
        self.rows: dict[Node, TaskID] = {}
        self.bars = Bars(
            *_columns(self.console.width), console=self.console, refresh_per_second=2, transient=True,
            expand=self.console.width >= _WIDE, disable=not self.live,
        )  # fmt: skip
        self.whole = self.bars.add_task(
            self.run.scenario.name, total=len(self.graph), what=self._count(), left=self._rest, message=""
        )

    def __enter__(self) -> Self:
        judged, shows = last_shown(self.run.home, self.run.scenario.name)
        if judged and (EVALUATE, "") in self.graph:
            self._print(f"The test rows of run {judged}: {shows}.")
        self.bars.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, _error: object, _trace: TracebackType | None) -> None:
        self.bars.stop()
        if kind is not None and issubclass(kind, Exception):  # nothing comes that would tell them
            for note in self.withheld:
                self._print(f"           {note}")

    def __call__(self, told: "Progress | Outcome") -> None:
        """Show one message."""
        if isinstance(told, Progress):
            self._goes_on(told, time.monotonic())
        else:
            self._ended(told)

    def _goes_on(self, told: Progress, now: float) -> None:
        node = (told.step, told.lane)
        if not told.message:
            self.paces[node] = Pace(now)
            left = lambda: _clock("at most", self.paces[node].left(time.monotonic() - self.paces[node].began))  # noqa: E731
            self.rows[node] = self.bars.add_task(told.name, total=None, what="", left=left, message="")
            return
        row, pace = self.rows[node], self.paces[node]
        if told.epoch is None or told.epochs is None:
            self.bars.update(row, message=told.message)
            return
        pace.note(told.epoch, told.epochs, now - pace.began)
        what = f"epoch {told.epoch} of {told.epochs}"
        self.bars.update(row, total=told.epochs, completed=told.epoch, what=what, message=told.message)
        if not self.live and now - pace.began - pace.told >= EVERY:
            pace.told = now - pace.began
            self._print(f"{pace.told:7.1f} s  {'running':9} {told.name}: {told.message}")

    def _ended(self, told: "Outcome") -> None:
        node = (told.step, told.lane)
        self.left.discard(node)
        self.computed |= told.state == "computed"
        self.bars.remove_task(self.rows.pop(node))
        self.bars.update(self.whole, advance=1, what=self._count())
        style = "red" if told.state == "failed" else ""
        self._print(f"{told.seconds:7.1f} s  {told.state:9} {told.name}", style)
        later = _told_later(self.run) if self.summed and told.notes else frozenset()
        for note in told.notes:
            if note in later:
                self.withheld.append(note)
            else:
                self._print(f"           {note}")
        if told.state == "failed" and told.step in TRAINING:  # else the run ends with the message
            self._print(f"           {told.message}", style)

    def _count(self) -> str:
        return f"step {min(len(self.graph), len(self.graph) - len(self.left) + 1)} of {len(self.graph)}"

    def _rest(self) -> str:
        """How long the run may still take, once something had to be computed: what is reused takes no time."""
        if not self.computed:
            return ""
        now = time.monotonic()
        running = {node: now - self.paces[node].began for node in self.rows}
        return _clock("about", seconds_left(self.graph, self.before, running, self.left, self.jobs))

    def _print(self, text: str, style: str = "") -> None:
        self.console.print(text, style=style, soft_wrap=True)


class _Left(ProgressColumn):
    """Asks how much time is left whenever it is drawn."""

    def render(self, task: Bar) -> Text:
        return Text(task.fields["left"]())


def _columns(width: int) -> list[ProgressColumn]:
    """Lay out a line; a narrow terminal has no bars, and only the name may be cut there."""

    def text(field: str, **options: Any) -> TextColumn:
        column = Column(no_wrap=True, overflow="ellipsis", **options)
        return TextColumn(f"{{task.{field}}}", markup=False, table_column=column)

    return [
        text("description", max_width=max(12, width - _REST)),
        *([BarColumn(bar_width=12)] if width >= _WIDE else []),
        text("fields[what]"),
        TimeElapsedColumn(Column(no_wrap=True)),
        _Left(table_column=Column(no_wrap=True)),
        *([text("fields[message]", ratio=1)] if width >= _WIDE else []),
    ]


def _clock(word: str, seconds: float | None) -> str:
    """`about 1:05 left`."""
    return "" if seconds is None else f"{word} {int(seconds) // 60}:{int(seconds) % 60:02} left"


def _told_later(run: "Run") -> frozenset[str]:
    """What the end of a run tells anyway, as the steps found so far word it."""
    from pipeline.results import AUDIT
    from pipeline.runs.account import spellings

    audited = run.results(AUDIT).get("")
    return frozenset((*spellings(run), *(str(one) for one in (audited.facts.findings if audited else ()))))
