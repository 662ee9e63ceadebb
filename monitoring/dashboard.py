"""Makes grafana-dashboard.json, which is committed: `python monitoring/dashboard.py` after an edit here.

A panel is a line of `ROWS`: title, unit, what it shows and what to make of it, and its queries (legend → expression). Expressions are
written over short names: `@name` is one of our own metrics, `#name` one of Flink's operators, `~name` one of its tasks, `%name` one of
its jobs; each is completed with the chosen jobs.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple

from grafana_foundation_sdk.builders import common, heatmap, prometheus, stat, timeseries
from grafana_foundation_sdk.builders import dashboard as grafana
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common as kinds
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.heatmap import HeatmapColorMode
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

FILE = Path(__file__).with_name("grafana-dashboard.json")
SCOPES = {
    "@": "flink_taskmanager_job_task_operator_keepline_",
    "#": "flink_taskmanager_job_task_operator_",
    "~": "flink_taskmanager_job_task_",
    "%": "flink_jobmanager_job_",
}
SOURCE = models.DataSourceRef(type_val="prometheus", uid="${datasource}")
WIDTHS = {"stat": 4, "lines": 8, "heatmap": 12}
HEIGHTS = {"stat": 4, "lines": 8, "heatmap": 8}


class Panel(NamedTuple):
    """One panel. `kind`: lines, stat (one number, `warn` and `alarm` colour it) or heatmap (of buckets)."""

    title: str
    unit: str
    text: str
    queries: dict[str, str]
    kind: str = "lines"
    warn: float | None = None
    alarm: float | None = None
    low: float | None = 0
    high: float | None = None


def quantile(share: float, buckets: str) -> str:
    """A quantile of all subtasks together."""
    return f"histogram_quantile({share}, sum by (le) (rate({buckets}[$__rate_interval])))"


def rate(name: str, by: str = "") -> str:
    """Increase a second, summed over the subtasks."""
    return f"sum{f' by ({by}) ' if by else ' '}(rate({name}[$__rate_interval]))"


def share(part: str, whole: str = "@entries_total") -> str:
    """Of all that goes through the operator."""
    return f"{rate(part)} / {rate(whole)}"


ROWS: tuple[tuple[str, tuple[Panel, ...]], ...] = (
    ("Now", (
        Panel("Running for", "ms", "Time since the job runs without a restart. 0: it does not run.",
              {"": "max(%runningTime)"}, "stat"),
        Panel("Events a second", "ops", "Records of all kinds that the customer operator has worked through, ticks included.",
              {"": rate("@entries_total")}, "stat"),
        Panel("Created → scored, p99", "ms", "From the producer's header created_ms to the score's way out. "
              "Without that header on the input there is no figure.",
              {"": quantile(0.99, "@created_to_scored_ms_le_bucket")}, "stat", 200, 500),
        Panel("Waiting in Kafka", "short", "Records in the input topics that the job has not read yet.",
              {"": "sum(#pendingRecords)"}, "stat", 10_000, 1_000_000),
        Panel("Newest checkpoint", "s", "Its age. Exactly-once output is visible up to here, not further.",
              {"": "time() - max(%lastCheckpointCompletedTimestamp) / 1000"}, "stat", 30, 120),
        Panel("Redis behind by", "ms", "How long the oldest record has been waiting for Redis.",
              {"": "max(@redis_lag_ms)"}, "stat", 1000, 10_000),
    )),
    ("Throughput", (
        Panel("Events by outcome", "ops", "What becomes of the records: accepted ones change a customer's state and are scored.", {
            "accepted": rate("@events_accepted_total"), "duplicate": rate("@events_duplicate_total"), "late": rate("@events_late_total"),
            "control": rate("@events_control_total"), "dead letter": rate("@reason_dead_letters_total"), "tick": rate("@ticks_total"),
        }),
        Panel("Waiting in Kafka, by subtask", "short", "Grows without end: the job is too slow for its input.",
              {"source {{subtask_index}}": 'sum by (subtask_index) (#pendingRecords)'}),
        Panel("Records a batch", "short", "256 at most. Large batches mean load, small ones that events wait for nothing.",
              {"mean": f"{rate('@entries_total')} / {rate('@batches_total')}"}),
        Panel("Scores put out, by band", "ops", "The setting `emit` decides which scores are put out.",
              {"{{band}}": rate("@band_scores_emitted_total", "band")}),
        Panel("Signals", "ops", "What the customer operator tells the contact policy: a trigger's level begins, ends or holds for another "
              "day, an event that the policy waits for, a control record. Most events are not among them.",
              {"signals": rate("@signals_total")}),
        Panel("Records out", "ops", "To Kafka, inside transactions, and to Redis: fewer, as a newer write replaces one that waits.",
              {"Kafka": 'sum(rate(#numRecordsSend{operator_name="kafka-sink: Writer"}[$__rate_interval]))',
               "Redis": rate("@redis_writes_total")}),
        Panel("Tasks: busy", "percentunit", "Share of the time. A task at 100 % is the one that limits the job.",
              {"{{task_name}} {{subtask_index}}": "~busyTimeMsPerSecond / 1000"}, high=1),
        Panel("Tasks: held up", "percentunit", "Share of the time in which a task waits because the next one takes no more.",
              {"{{task_name}} {{subtask_index}}": "~backPressuredTimeMsPerSecond / 1000"}, high=1),
        Panel("Where the operator's time goes", "percentunit", "Share of each second: Python kernels, emission (with what is chained "
              "behind), writing states back before barriers.", {
                  "Python {{subtask_index}}": rate("@python_ms_total", "subtask_index") + " / 1000",
                  "emission {{subtask_index}}": rate("@emit_ms_total", "subtask_index") + " / 1000",
                  "write-back {{subtask_index}}": rate("@write_back_ms_total", "subtask_index") + " / 1000",
              }),
    )),
    ("Latency", (
        Panel("Created → scored", "ms", "From the producer's clock to the score's way out of the operator, over all "
              "subtasks. Includes the clocks' difference.",
              {"p50": quantile(0.5, "@created_to_scored_ms_le_bucket"), "p99": quantile(0.99, "@created_to_scored_ms_le_bucket"),
               "mean": f"{rate('@created_to_scored_ms_sum')} / {rate('@created_to_scored_ms_count')}"}),
        Panel("Created → in Redis", "ms", "To the answer of Redis: what a reader of the live view sees.",
              {"p50": quantile(0.5, "@created_to_redis_ms_le_bucket"), "p99": quantile(0.99, "@created_to_redis_ms_le_bucket"),
               "mean": f"{rate('@created_to_redis_ms_sum')} / {rate('@created_to_redis_ms_count')}"}),
        Panel("Event time behind the clock", "ms", "How old the operator's watermark is: the bound of disorder (`disorder`, 1 h) and a "
              "little. Grows as fast as time passes: a partition holds event time back, and silent customers get no ticks. "
              "Beside it how old the last block read is, by the event time of its first record.",
              {"operator {{subtask_index}}": "@watermark_lag_ms", "read {{subtask_index}}": "#currentEmitEventTimeLag"}, low=None),
        Panel("Created → scored, distribution", "ms", "Scores by latency.",
              {"{{le}}": "sum by (le) (increase(@created_to_scored_ms_le_bucket[$__rate_interval]))"}, "heatmap"),
        Panel("Python, per record", "µs", "Time inside the customer operator's Python call divided by records: kernels and messages.",
              {"mean": f"1000 * {rate('@python_ms_total')} / {rate('@entries_total')}"}),
    )),
    ("Quality", (
        Panel("Scores, distribution", "percentunit", "All scores that were made, also those that were not put out.",
              {"{{le}}": "sum by (le) (increase(@score_le_bucket[$__rate_interval]))"}, "heatmap"),
        Panel("Scores, quantiles", "percentunit", "A jump without a new model: the input has changed.",
              {"p10": quantile(0.1, "@score_le_bucket"), "p50": quantile(0.5, "@score_le_bucket"),
               "p90": quantile(0.9, "@score_le_bucket"), "mean": f"{rate('@score_sum')} / {rate('@score_count')}"}, high=1),
        Panel("Bands, shares", "percentunit", "Of the scores put out.",
              {"{{band}}": f"{rate('@band_scores_emitted_total', 'band')} / on () group_left {rate('@band_scores_emitted_total')}"},
              high=1),
        Panel("Dead letters by reason", "ops", "The topic of dead letters has each record with its message.",
              {"{{reason}}": rate("@reason_dead_letters_total", "reason")}),
        Panel("Late and duplicate", "percentunit", "Shares of all records.",
              {"late": share("@events_late_total"), "duplicate": share("@events_duplicate_total"),
               "dead letters": share("@reason_dead_letters_total")}),
        Panel("Model and code", "short", "Subtasks by what they run. More than one line for long: TaskManagers of different versions.",
              {"{{model_id}} {{version}}, code {{code}}": "sum by (model_id, version, code) (@model_id_version_code_model_info)"}),
        Panel("Waiting for the schema registry", "short", "Records of the batch that wait until it answers; the input is held up.",
              {"subtask {{subtask_index}}": "@waiting_for_registry"}),
    )),
    ("Contact policy", (
        Panel("Decisions", "cpm", "A minute. Emitted, held, cancelled and, where new, suppressed ones; those of the budget operator are "
              "of campaigns with a budget. PREFIX.decisions has each with its reason.",
              {"{{operator_name}}": "60 * " + rate("@decisions_total", "operator_name")}),
        Panel("Interventions", "cpm", "A minute, tickets for people among them. Of campaigns with a budget it is the budget operator that "
              "puts them out.", {"{{operator_name}}": "60 * " + rate("@interventions_total", "operator_name")}),
        Panel("Steps of the policy", "ops", "Signals and claims worked through, and wakes: a held offer, a look at whether an offer has "
              "helped, a row that closes.", {
                  "frames, {{operator_name}}": rate("@rare_elements_total", "operator_name"),
                  "wakes, {{operator_name}}": rate("@rare_timers_total", "operator_name"),
              }),
        Panel("Python of the policy", "percentunit", "Share of each second. Near 100 % the operator limits the job: raise `parallelism`.",
              {"{{operator_name}} {{subtask_index}}": rate("@rare_python_ms_total", "operator_name, subtask_index") + " / 1000"}, high=1),
        Panel("Python, per step", "µs", "Time inside the Python call, by signal, claim or wake.",
              {"{{operator_name}}": f"1000 * {rate('@rare_python_ms_total', 'operator_name')} / ("
               f"{rate('@rare_elements_total', 'operator_name')} + {rate('@rare_timers_total', 'operator_name')})"}),
        Panel("Outcomes and erasures", "cpm", "A minute. Labelled outcomes: rows whose landing window has closed, late and unknown "
              "outcomes. Erasures and receipts: of each Erasure record, by the customer operator and by the policy.",
              {"labelled outcomes": "60 * " + rate("@labelled_outcomes_total"), "erasures": "60 * " + rate("@customers_erased_total"),
               "receipts": "60 * " + rate("@erasure_receipts_total")}),
        Panel("States of the policy", "ops", "States written and dropped in Flink's state backend.",
              {"written, {{operator_name}}": rate("@rare_states_written_total", "operator_name"),
               "dropped, {{operator_name}}": rate("@rare_states_dropped_total", "operator_name")}),
        Panel("Frames by channel", "ops", "What the two operators put out: 1 interventions, 2 decisions, 5 labelled outcomes, 6 receipts, "
              "62 claims on a budget.", {"{{channel}}": rate("@channel_rare_frames_total", "channel")}),
        Panel("Policy and version", "short", "Subtasks by the policy that they run. More than one line for long: a start that did not end.",
              {"{{policy}} {{version}}": "sum by (policy, version) (@policy_version_policy_info)"}),
    )),
    ("State", (
        Panel("Resident customers", "short", "Customers whose state is in memory, and the room. At the limit, states are evicted.",
              {"resident {{subtask_index}}": "@resident_states", "room {{subtask_index}}": "@resident_states_limit"}),
        Panel("Misses and evictions", "ops", "Reads of Flink's state, and states that made room for them. Many: raise the capacity.",
              {"misses": rate("@state_misses_total"), "evictions": rate("@state_evictions_total"),
               "written": rate("@states_written_total")}),
        Panel("Write-back before a barrier", "ms", "How long the operator stands still to write changed states: the tail of the latency.",
              {"last {{subtask_index}}": "@write_back_last_ms",
               "mean": f"{rate('@write_back_ms_total')} / {rate('@write_backs_total')}"}),
        Panel("Memory of resident states", "bytes", "Off the heap.",
              {"subtask {{subtask_index}}": "@resident_states * @state_bytes"}),
        Panel("Ticks and forgotten customers", "ops", "A silent customer is scored daily, and forgotten after the retention.",
              {"ticks": rate("@ticks_total"), "forgotten": rate("@customers_forgotten_total")}),
    )),
    ("Redis", (
        Panel("Waiting for Redis", "short", "Keys whose newest record is not in Redis yet; 200,000 a subtask at most.",
              {"subtask {{subtask_index}}": "@redis_pending_keys"}),
        Panel("Behind by", "ms", "Age of the oldest record that waits.", {"subtask {{subtask_index}}": "@redis_lag_ms"}),
        Panel("Trouble", "ops", "Dropped: the bound was reached, the view of those customers is old until they are scored anew. "
              "Refused: Redis will not have that key. Retries and connections: Redis is away or restarts.",
              {"dropped": rate("@redis_dropped_total"), "refused": rate("@redis_refused_total"), "retries": rate("@redis_retries_total"),
               "connections": rate("@redis_connections_total")}),
    )),
    ("Checkpoints and Kafka", (
        Panel("Checkpoints", "cpm", "A minute. Some fail at each start, before all tasks run.",
              {"completed": "60 * sum(rate(%numberOfCompletedCheckpoints[$__rate_interval]))",
               "failed": "60 * sum(rate(%numberOfFailedCheckpoints[$__rate_interval]))"}),
        Panel("Duration", "ms", "Of the newest checkpoint, from its trigger to the last acknowledgement.",
              {"{{job_name}}": "%lastCheckpointDuration"}),
        Panel("Size", "bytes", "Of the newest checkpoint.", {"{{job_name}}": "%lastCheckpointFullSize"}),
        Panel("Restarts", "short", "In the last hour.", {"{{job_name}}": "increase(%numRestarts[1h])"}),
        Panel("Failed commits", "ops", "Offsets: only what the consumer group shows is old. Transactions: output is not visible.",
              {"offsets": rate("#KafkaSourceReader_commitsFailed"), "transactions": rate("#failedCommittables"),
               "sends": rate("#numRecordsOutErrors")}),
        Panel("Transactions waiting", "short", "Ended by a checkpoint, not committed yet.", {"": "sum(#pendingCommittables)"}),
    )),
    ("Processes", (
        Panel("Heap", "percentunit", "Used share. The heap backend holds every customer's state.", {
            "TaskManager {{host}}": "flink_taskmanager_Status_JVM_Memory_Heap_Used / flink_taskmanager_Status_JVM_Memory_Heap_Max",
            "JobManager {{host}}": "flink_jobmanager_Status_JVM_Memory_Heap_Used / flink_jobmanager_Status_JVM_Memory_Heap_Max",
        }, high=1),
        Panel("Direct memory", "bytes", "Resident states, batches, network buffers.",
              {"TaskManager {{host}}": "flink_taskmanager_Status_JVM_Memory_Direct_MemoryUsed"}),
        Panel("CPU", "percentunit", "Of the machine, by process.",
              {"TaskManager {{host}}": "flink_taskmanager_Status_JVM_CPU_Load",
               "JobManager {{host}}": "flink_jobmanager_Status_JVM_CPU_Load"}),
        Panel("Garbage collection", "percentunit", "Share of the time.",
              {"TaskManager {{host}}": "flink_taskmanager_Status_JVM_GarbageCollector_All_TimeMsPerSecond / 1000"}),
        Panel("Threads", "short", "Of the TaskManagers.", {"TaskManager {{host}}": "flink_taskmanager_Status_JVM_Threads_Count"}),
        Panel("TaskManagers", "short", "Registered, and slots that no task uses.",
              {"registered": "flink_jobmanager_numRegisteredTaskManagers", "free slots": "flink_jobmanager_taskSlotsAvailable"}),
    )),
)  # fmt: skip


def expression(short: str) -> str:
    """The PromQL of a short expression.

    >>> expression("sum(@ticks_total)")
    'sum(flink_taskmanager_job_task_operator_keepline_ticks_total{job_name=~"$job"})'
    """

    def whole(found: re.Match[str]) -> str:
        matchers = 'job_name=~"$job"' + (f", {found[3]}" if found[3] else "")
        return f"{SCOPES[found[1]]}{found[2]}{{{matchers}}}"

    return re.sub(r"([@#~%])(\w+)(?:\{(.*?)\})?", whole, short)


def target(legend: str, short: str, place: int, kind: str) -> Any:
    """One query of a panel."""
    query = (
        prometheus.Dataquery().expr(expression(short)).legend_format(legend or "__auto").ref_id(chr(ord("A") + place)).datasource(SOURCE)
    )
    return query.format(PromQueryFormat.HEATMAP if kind == "heatmap" else PromQueryFormat.TIME_SERIES)


def panel(line: Panel, number: int) -> Any:
    """A line of `ROWS` as Grafana's."""
    made = {"stat": stat.Panel, "lines": timeseries.Panel, "heatmap": heatmap.Panel}[line.kind]()
    made = made.id(number).title(line.title).description(line.text).unit(line.unit).datasource(SOURCE)
    made = made.span(WIDTHS[line.kind]).height(HEIGHTS[line.kind])
    if line.kind == "lines":
        made = made.fill_opacity(8).line_width(1).show_points(kinds.VisibilityMode.NEVER)
        made = made.legend(common.VizLegendOptions().display_mode(kinds.LegendDisplayMode.LIST).placement(kinds.LegendPlacement.BOTTOM))
        made = made.tooltip(common.VizTooltipOptions().mode(kinds.TooltipDisplayMode.MULTI).sort(kinds.SortOrder.DESCENDING))
        made = made.min(line.low) if line.low is not None else made
        made = made.max(line.high) if line.high is not None else made
    elif line.kind == "heatmap":
        made = (
            made.calculate(False)
            .show_tooltip()
            .color(heatmap.HeatmapColorOptions().mode(HeatmapColorMode.SCHEME).scheme("Oranges").steps(64))
        )
        made = made.y_axis(heatmap.YAxisConfig().unit(line.unit))
    else:
        made = made.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"])).color_mode(kinds.BigValueColorMode.VALUE)
        made = made.graph_mode(kinds.BigValueGraphMode.AREA)
    if line.alarm is not None:
        steps = [(None, "green"), (line.warn, "orange"), (line.alarm, "red")]
        limits = [models.Threshold(value=value, color=color) for value, color in steps]
        made = made.thresholds(grafana.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(limits))
    for place, (legend, short) in enumerate(line.queries.items()):
        made = made.with_target(target(legend, short, place, line.kind))
    return made


def dashboard() -> str:
    """The whole dashboard, as JSON text."""
    jobs = "label_values(flink_jobmanager_job_uptime, job_name)"
    made = (
        grafana.Dashboard("Keepline").uid("keepline").tags(["keepline", "flink"]).editable().tooltip(models.DashboardCursorSync.CROSSHAIR)
    )
    parts = "throughput, latency, quality of data and scores, contact policy, state, Redis, checkpoints, processes"
    made = made.description(f"A Keepline job: {parts}.")
    made = made.refresh("30s").time("now-1h", "now").timezone("browser")
    made = made.with_variable(grafana.DatasourceVariable("datasource").label("Data source").type("prometheus"))
    made = made.with_variable(
        grafana.QueryVariable("job").label("Job").datasource(SOURCE).query(jobs).multi(True).include_all(True).all_value(".*")
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED).sort(models.VariableSort.ALPHABETICAL_ASC)
        .current(models.VariableOption(selected=True, text="All", value="$__all"))
    )  # fmt: skip
    number = 0
    for title, lines in ROWS:
        number += 1
        made = made.with_row(grafana.Row(title).id(number))
        for line in lines:
            number += 1
            made = made.with_panel(panel(line, number))
    return JSONEncoder(sort_keys=True, indent=1, ensure_ascii=False).encode(made.build()) + "\n"


if __name__ == "__main__":
    FILE.write_text(dashboard(), encoding="utf-8")
