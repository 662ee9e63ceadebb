package io.keepline;

import java.io.File;
import java.nio.charset.StandardCharsets;
import java.util.Properties;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import org.apache.flink.metrics.Metric;
import org.apache.flink.metrics.MetricConfig;
import org.apache.flink.metrics.MetricGroup;
import org.apache.flink.metrics.reporter.MetricReporter;
import org.apache.flink.metrics.reporter.MetricReporterFactory;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import pemja.core.PythonInterpreter;
import pemja.core.PythonInterpreterConfig;

/**
 * Warms a TaskManager before it has a job: starts the embedded interpreter, imports what a job will import, and loads the compiled kernels.
 * A TaskManager that stands by then takes over in a few seconds; without this the imports alone take most of a restart.
 *
 * <p>It is a metric reporter that reports nothing, because that is what Flink lets a cluster add to a process without a job:
 * <pre>
 *   metrics.reporter.warm.factory.class: io.keepline.WarmStandby
 *   metrics.reporter.warm.python: /path/to/python        # the jobs' python.executable; default: python on the PATH
 *   metrics.reporter.warm.path: /a/folder:/another       # the jobs' python.pythonpath; default: PYTHONPATH, and where that Python
 *                                                        # itself finds pemja and keepline
 *   metrics.reporter.warm.modules: a.module,another      # also imported; for jobs with PyFlink functions of their own
 * </pre>
 * Only a TaskManager has metrics with a TaskManager's id, so the first of these starts it; a JobManager stays as it is. All work is on a
 * thread of its own, takes no slot, and whatever fails is logged and nothing else: jobs then do the work themselves, as without this. The
 * interpreter of a JVM is one, and its program is fixed at its start; so the program is tried in a process of its own first.
 *
 * <p>No function is invoked here, code is only executed: see {@link PythonCalls} for what pemja does to functions.
 */
public final class WarmStandby implements MetricReporterFactory, MetricReporter {
  private static final Logger LOG = LoggerFactory.getLogger(WarmStandby.class);
  private static final String TASK_MANAGER = "<tm_id>";
  private static final long TRIAL_S = 60;
  /** Prints the folders of both packages: an embedded interpreter does not read what makes an environment know them. */
  private static final String TRIAL = "from importlib.util import find_spec\nfrom os.path import dirname\n"
      + "print(':'.join(dict.fromkeys(dirname(dirname(find_spec(name).origin)) for name in ('pemja', 'keepline'))))";

  private final AtomicBoolean started = new AtomicBoolean();
  private String python;
  private String path;
  private String modules;

  @Override
  public MetricReporter createMetricReporter(Properties properties) {
    return this;
  }

  @Override
  public void open(MetricConfig config) {
    String inherited = System.getenv("PYTHONPATH");
    python = config.getString("python", "python");
    path = config.getString("path", inherited == null ? "" : inherited);
    modules = config.getString("modules", "");
  }

  @Override
  public void notifyOfAddedMetric(Metric metric, String name, MetricGroup group) {
    if (!started.get() && group.getAllVariables().containsKey(TASK_MANAGER) && started.compareAndSet(false, true)) {
      Thread thread = new Thread(this::warm, "keepline-warm-standby");
      thread.setDaemon(true);
      thread.start();
    }
  }

  @Override
  public void notifyOfRemovedMetric(Metric metric, String name, MetricGroup group) {}

  @Override
  public void close() {}

  /** Whether it could be done. */
  boolean warm() {
    long begin = System.nanoTime();
    try {
      String folders = folders();
      if (folders.isEmpty()) {
        LOG.warn("warm standby is off, jobs start cold: {} finds no packages pemja and keepline with PYTHONPATH '{}'; set"
            + " metrics.reporter.warm.python to the jobs' python.executable, and metrics.reporter.warm.path to their python.pythonpath",
            python, path);
        return false;
      }
      load(folders);
      LOG.info("warm standby: interpreter, imports and kernels are ready after {} ms", (System.nanoTime() - begin) / 1_000_000);
      return true;
    } catch (InterruptedException ended) {
      Thread.currentThread().interrupt();
    } catch (Throwable failed) { // also a missing pemja, or what its native code throws undeclared: a TaskManager must not suffer
      LOG.warn("warm standby is off, jobs start cold", failed);
    }
    return false;
  }

  /** Where this Python, in a process of its own, finds both packages; empty where it does not. */
  private String folders() throws Exception {
    ProcessBuilder trial = new ProcessBuilder(python, "-c", TRIAL);
    trial.environment().put("PYTHONPATH", path);
    trial.redirectError(ProcessBuilder.Redirect.DISCARD);
    Process process;
    try {
      process = trial.start();
    } catch (java.io.IOException absent) {
      return "";
    }
    if (!process.waitFor(TRIAL_S, TimeUnit.SECONDS)) {
      process.destroyForcibly();
      return "";
    }
    String told = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8).strip();
    return process.exitValue() == 0 ? told : "";
  }

  /** The same configuration as an operator's interpreter has in thread mode. */
  private void load(String folders) {
    PythonInterpreterConfig.PythonInterpreterConfigBuilder config = PythonInterpreterConfig.newBuilder()
        .setExcType(PythonInterpreterConfig.ExecType.MULTI_THREAD).setPythonExec(python);
    for (String folder : (folders + File.pathSeparator + path).split(File.pathSeparator)) {
      if (!folder.isEmpty()) {
        config.addPythonPaths(folder);
      }
    }
    try (PythonInterpreter interpreter = new PythonInterpreter(config.build())) {
      interpreter.set("_keepline_modules", modules);
      interpreter.exec("from keepline.operators.warm import warm as _keepline_warm\n_keepline_warm(_keepline_modules)\n");
    }
  }
}
