"""Whether a GPU learns what the CPU learns, goes on after a kill, and how long an epoch takes on both.

    CROSSLIFT_DATA=... python benchmarks/device.py demo next_item

The first scenario is run on the CPU, on the GPU, and on the GPU again with all its processes killed while it trains,
after which the same command goes on; all three at once. Printed are the validation metrics of each lane. With the
second, on the toys and games, `scratch` is fitted for one and for three epochs on both devices: half the difference is
an epoch's time, without what comes before it.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from order import prepared

from pipeline import config as cfg
from pipeline.models.lanes import ItemLearner
from pipeline.scenarios import load_scenario
from pipeline.training.fit import fit
from pipeline.transfer.methods import build_tune

CPU, GPU = {"CUDA_VISIBLE_DEVICES": ""}, dict[str, str]()
COMMAND = "import sys; from pipeline.cli import main; sys.exit(main())"  # also where nothing is installed
DONE = (0, 4)
ROOT = Path(__file__).parents[1]


def started(scenario: str, home: Path, device: dict[str, str]) -> "subprocess.Popen[str]":
    """Start a run in a session of its own."""
    told = (home.parent / f"{home.name}.log").open("a")
    return subprocess.Popen(
        [sys.executable, "-c", COMMAND, "run", scenario, "--run-id", "night", "--json"],
        cwd=ROOT, env={**os.environ, "CROSSLIFT_HOME": str(home), **device}, stdout=subprocess.PIPE, stderr=told,
        text=True, start_new_session=True,
    )  # fmt: skip


def ended(process: "subprocess.Popen[str]", home: Path) -> dict[str, Any]:
    """What a run says at its end."""
    printed, _ = process.communicate()
    if process.returncode not in DONE:
        log = home.parent / f"{home.name}.log"
        sys.exit(f"the run in {home} ended with {process.returncode}:\n{printed[-2000:]}\n{log.read_text()[-3000:]}")
    found: dict[str, Any] = json.loads(printed)
    return found


def killed(process: "subprocess.Popen[str]", home: Path) -> int:
    """Kill all processes of a run once three lanes have a checkpoint; give how many had one."""
    while process.poll() is None:
        if (saved := len({path.parent for path in home.glob("work/**/*.ckpt")})) >= 3:
            for found in Path("/proc").glob("[0-9]*/environ"):
                try:
                    if f"CROSSLIFT_HOME={home}".encode() in found.read_bytes().split(b"\0"):
                        os.kill(int(found.parent.name), signal.SIGKILL)
                except OSError:
                    continue
            process.wait()
            return saved
        time.sleep(0.05)
    sys.exit("the run ended before it could be killed")


def compare(scenario: str, place: Path) -> None:
    """Print the validation metric of each lane on the CPU, on the GPU, and on the GPU after a kill."""
    homes = {name: place / name for name in ("cpu", "gpu", "killed")}
    running = {name: started(scenario, homes[name], CPU if name == "cpu" else GPU) for name in homes}
    print(f"killed while {killed(running['killed'], homes['killed'])} lanes had a checkpoint", flush=True)
    running["killed"] = started(scenario, homes["killed"], GPU)
    found = {name: ended(process, homes[name]) for name, process in running.items()}
    valid = {name: {lane["name"]: lane["valid"] for lane in told["lanes"]} for name, told in found.items()}
    for lane in valid["cpu"]:
        print(f"| {lane} | {' | '.join(f'{each[lane]:.5f}' for each in valid.values())} |")
    hashes = [weights(homes[name]) for name in ("gpu", "killed")]
    same = sum(hashes[0][task] == hashes[1].get(task) for task in hashes[0])
    print(f"on the GPU the same after the kill, to the last bit: {same} of {len(hashes[0])} tasks", flush=True)


def weights(home: Path) -> dict[str, str]:
    """The manifest of each training task of a run."""
    records = [json.loads(path.read_text()) for path in (home / "runs" / "night" / "results").glob("*.json")]
    trained = ("pretrain_source", "adapt_domain", "finetune_target")
    return {f"{one['step']} {one['name']}": one["manifest"] for one in records if one["step"] in trained}


def epoch(scenario: str) -> None:
    """Print the seconds of an epoch on the device that is visible."""
    read = load_scenario(scenario)
    domains = prepared(read.sources[0], read.target)
    for kind in ("sequence", "history"):
        raw = read.model_dump(mode="json") | {"model": {"kind": kind}, "strategies": [{"tune": {"kind": "scratch"}}]}
        strategy = cfg.Scenario.model_validate(raw).strategies[0]
        learner = ItemLearner(cfg.TrainSettings.of(cfg.Scenario.model_validate(raw), sources=tuple(read.sources)))
        took, size = {}, 0
        for epochs in (1, 1, 3):  # the first one warms up
            network, rows = learner.tune(domains.training(), strategy)
            method = build_tune(strategy.tune, learner.model.dim)
            method.initialise(network, None)
            training = learner.settings.fitting.model_copy(update={"epochs": epochs})
            begun = time.monotonic()
            with tempfile.TemporaryDirectory() as work:
                fit(network, method, rows, training, Path(work), seed=0)
            took[epochs], size = time.monotonic() - begun, rows.steps
        name = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU, one thread"
        print(f"| {kind}, {size} steps | {name} | {(took[3] - took[1]) / 2:.2f} s an epoch |", flush=True)


def main() -> None:
    """Compare, and take the time of an epoch on both devices."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenario")
    parser.add_argument("epochs", nargs="?", help="a scenario on the toys and games")
    parser.add_argument("--timed", action="store_true", help=argparse.SUPPRESS)  # the second half, on what is visible
    given = parser.parse_args()
    if given.timed:
        epoch(given.epochs)
        return
    if given.epochs:
        for device in (CPU, GPU):
            command = [sys.executable, __file__, given.scenario, given.epochs, "--timed"]
            subprocess.run(command, cwd=ROOT, env={**os.environ, **device}, check=True)
    with tempfile.TemporaryDirectory(prefix="device-") as place:
        compare(given.scenario, Path(place))


if __name__ == "__main__":
    main()
