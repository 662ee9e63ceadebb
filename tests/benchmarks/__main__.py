"""`python -m tests.benchmarks`: all parts, or some of them (`--only kernel,throughput`), printed as tables."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.benchmarks import events, machine, page, report

PARTS = ("kernel", "scorers", "files", "operator", "throughput", "latency", "next-app")
MORE_PARTS = ("recovery", "settings", "policy", "sets")
"""Only where `--only` names them."""
Say = Callable[[str], None]


def arguments(given: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description="Events a second and latency.")
    parser.add_argument("--only", default=",".join(PARTS), help="parts (default: %(default)s; and recovery, settings, policy, sets)")
    parser.add_argument("--events", type=float, default=3e6, help="events of a throughput run, such as 8e6 (default: 3e6)")
    parser.add_argument("--file-events", type=float, default=2e6, help="events of the part `files` (default: 2e6)")
    parser.add_argument("--customers", default="20000,200000", help="numbers of customers of the throughput runs (default: %(default)s)")
    parser.add_argument("--checkpoints", default="1s,5s", help="checkpoint intervals of the throughput runs (default: %(default)s)")
    parser.add_argument("--rates", default="5000,20000", help="events a second of the latency runs (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=15.0, help="of a latency run that count (default: 15)")
    parser.add_argument("--warm", type=float, default=30.0, help="of warm-up before them, at the same rate (default: 30)")
    parser.add_argument("--rounds", type=int, default=5, help="of each case of `recovery`, `settings`, `policy`, `sets` (default: 5)")
    parser.add_argument(
        "--cases", default="", help="cases of `recovery`, `settings` (default: all); models of `next-app`'s latency (default: logistic)"
    )
    parser.add_argument("--flink", action="append", default=[], metavar="NAME=VALUE", help="Flink settings of `recovery`'s clusters")
    parser.add_argument("--job", default="", help='further flags for the job, such as "--parallelism 2"')
    parser.add_argument("--json", type=Path, help="write the results to this file")
    parser.add_argument("--markdown", action="store_true", help="write its section of docs/benchmarks.md")
    parser.add_argument("--quick", action="store_true", help="the kernel alone, with few events: does it run?")
    found = parser.parse_args(given)
    found.only = ["kernel"] if found.quick else found.only.split(",")
    unknown = set(found.only) - {*PARTS, *MORE_PARTS}
    if unknown:
        parser.error(f"--only {','.join(sorted(unknown))}: expected some of {','.join((*PARTS, *MORE_PARTS))}")
    return found


def kernel_part(options: argparse.Namespace, say: Say) -> list[dict[str, Any]]:
    """States in the processor's cache, and not."""
    from tests.benchmarks import kernel

    return [kernel.measure(customers, 20_000 if options.quick else 200_000, say) for customers in (1_000, 20_000)]


def scorers_part(say: Say) -> list[dict[str, Any]]:
    """Each model's compiled scorer, without events and states."""
    from tests.benchmarks import scorers

    return scorers.measure(say)


def files_part(options: argparse.Namespace, say: Say) -> list[dict[str, Any]]:
    """20 k customers, every format."""
    from tests.benchmarks import files

    return files.measure(20_000, int(options.file_events), say)


def operator_part(options: argparse.Namespace, say: Say) -> list[dict[str, Any]]:
    """20 k customers, 1 s checkpoints."""
    from tests.benchmarks import operator_alone

    return [operator_alone.run(events.Stream(20_000), int(options.events), 1000, say)]


def throughput_part(options: argparse.Namespace, say: Say, broker: Any) -> list[dict[str, Any]]:
    """Each number of customers with each checkpoint interval; the input of a number is produced once."""
    from tests.benchmarks import kernel, load, throughput
    from tests.benchmarks.job import PARTITIONS

    found, n = [], int(options.events)
    for customers in map(int, options.customers.split(",")):
        stream, topic = events.Stream(customers, PARTITIONS), f"input-{customers}"
        broker.create_topics([topic], partitions=PARTITIONS)
        load.fill(broker.bootstrap_servers, topic, stream, n, say)
        expected = kernel.reference(stream, n)
        for checkpoint in options.checkpoints.split(","):
            name = f"bench-{customers}-{checkpoint}"
            found.append(throughput.run(broker, name, topic, stream, n, checkpoint, expected, tuple(options.job.split()), say))
    return found


def latency_part(options: argparse.Namespace, say: Say, broker: Any) -> list[dict[str, Any]]:
    """Each rate, 20 k customers."""
    from keepline.jobs.stack.redis import EmbeddedRedis
    from tests.benchmarks import latency

    more = tuple(options.job.split())
    with EmbeddedRedis() as redis:
        return [
            latency.run(broker, redis, f"latency-{rate}", events.Stream(20_000), rate, options.warm, options.seconds, say, more)
            for rate in map(int, options.rates.split(","))
        ]


def next_app_part(say: Say) -> list[dict[str, Any]]:
    """The parts of an unlock, 20 k users, every family."""
    from tests.benchmarks import next_app

    return next_app.measure(say)


def next_app_latency_part(options: argparse.Namespace, say: Say, broker: Any) -> list[dict[str, Any]]:
    """5,000 unlocks a second, 20 k users, each family that is asked for."""
    from keepline.jobs.stack.redis import EmbeddedRedis
    from tests.benchmarks import next_app

    families = options.cases.split(",") if options.cases else [next_app.FAMILIES[0]]
    more = tuple(options.job.split())
    with EmbeddedRedis() as redis:
        return [next_app.run(broker, redis, family, next_app.RATE, options.warm, options.seconds, say, more) for family in families]


def recovery_part(options: argparse.Namespace, say: Say, broker: Any) -> list[dict[str, Any]]:
    """Each case, one after the other."""
    from tests.benchmarks import recovery

    settings = dict(each.partition("=")[::2] for each in options.flink)
    names = options.cases.split(",") if options.cases else list(recovery.CASES)
    return [recovery.run(broker, name, options.rounds, settings, say) for name in names]


def settings_part(options: argparse.Namespace, say: Say, broker: Any) -> list[dict[str, Any]]:
    """Each value of flink-conf/ that claims an effect which one machine can show."""
    from tests.benchmarks import settings

    names = options.cases.split(",") if options.cases else list(settings.VALUES)
    return settings.run(broker, names, options.rounds, int(options.events), say)


def policy_part(options: argparse.Namespace, say: Say, broker: Any) -> list[dict[str, Any]]:
    """The whole job with the contact policy and without it."""
    from tests.benchmarks import policy

    return policy.run(broker, options.rounds, int(options.events), options.warm, options.seconds, say)


def sets_part(options: argparse.Namespace, say: Say, broker: Any) -> list[dict[str, Any]]:
    """The whole job with both feature sets and with each alone."""
    from tests.benchmarks import sets

    return sets.run(broker, options.rounds, int(options.events), tuple(options.job.split()), say)


@contextlib.contextmanager
def progress() -> Iterator[Say]:
    """A line on the terminal that says what goes on; plain lines, one a step, where there is no terminal."""
    from rich.console import Console

    console, last = Console(stderr=True), [""]
    if console.is_terminal:
        with console.status("…") as status:
            yield status.update
        return

    def line(text: str) -> None:
        step = text.partition(":")[0]
        if step != last[0]:
            last[0] = step
            print(step, file=sys.stderr, flush=True)

    yield line


def main() -> None:
    """Runs the parts, prints and writes."""
    options = arguments()
    here = machine.describe()
    results: dict[str, list[dict[str, Any]]] = {}
    with progress() as say:
        if "kernel" in options.only:
            results["kernel"] = kernel_part(options, say)
        if "scorers" in options.only:
            results["scorers"] = scorers_part(say)
        if "files" in options.only:
            results["files"] = files_part(options, say)
        if "operator" in options.only:
            results["operator"] = operator_part(options, say)
        if "next-app" in options.only:
            results["next-app"] = next_app_part(say)
        if {"throughput", "latency", "next-app", *MORE_PARTS} & set(options.only):
            from keepline.jobs.stack.kafka import EmbeddedKafka

            say("starting Kafka")
            with EmbeddedKafka(quick=False, heap_mb=1024) as broker:
                if "throughput" in options.only:
                    results["throughput"] = throughput_part(options, say, broker)
                if "latency" in options.only:
                    results["latency"] = latency_part(options, say, broker)
                if "next-app" in options.only:
                    results["next-app-latency"] = next_app_latency_part(options, say, broker)
                if "recovery" in options.only:
                    results["recovery"] = recovery_part(options, say, broker)
                if "settings" in options.only:
                    results["settings"] = settings_part(options, say, broker)
                if "policy" in options.only:
                    results["policy"] = policy_part(options, say, broker)
                if "sets" in options.only:
                    results["sets"] = sets_part(options, say, broker)
    found = report.tables(results)
    report.show(found, here)
    if options.json:
        options.json.write_text(json.dumps({"machine": here, "results": results}, indent=2) + "\n")
    if options.markdown:
        mix = ", ".join(f"{share:.2%} {name}" for name, share in events.MIX.items())
        command = f"python -m tests.benchmarks {page.measured_with(sys.argv[1:])}"
        page.put("parts", report.markdown(found, here, command, mix, events.EVENTS_A_DAY))
    if any(result.get("void") for part in results.values() for result in part):
        sys.exit("a run is void: see the table")


if __name__ == "__main__":
    main()
