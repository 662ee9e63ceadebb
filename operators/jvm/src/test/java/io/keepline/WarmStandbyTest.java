package io.keepline;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.keepline.Kernels.Harness;
import io.keepline.Kernels.Settings;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.ServiceLoader;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.flink.metrics.MetricConfig;
import org.apache.flink.metrics.MetricGroup;
import org.apache.flink.metrics.groups.UnregisteredMetricsGroup;
import org.apache.flink.metrics.reporter.MetricReporterFactory;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;

/** What warms a TaskManager: only a TaskManager, once, harmless where it cannot work, and without a trace for the jobs that follow. */
class WarmStandbyTest {
  private static WarmStandby opened(String python, String path) {
    MetricConfig config = new MetricConfig();
    config.setProperty("python", python);
    config.setProperty("path", path);
    WarmStandby standby = new WarmStandby();
    standby.createMetricReporter(config);
    standby.open(config);
    return standby;
  }

  private static MetricGroup group(AtomicInteger asked, Map<String, String> variables) {
    return new UnregisteredMetricsGroup() {
      @Override
      public Map<String, String> getAllVariables() {
        asked.incrementAndGet();
        return variables;
      }
    };
  }

  @Test
  void flinkFindsIt() {
    List<String> known = ServiceLoader.load(MetricReporterFactory.class).stream().map(each -> each.type().getName()).toList();
    assertTrue(known.contains(WarmStandby.class.getName()), known::toString);
  }

  @Test
  void aTaskManagersMetricStartsItOnce() {
    AtomicInteger asked = new AtomicInteger();
    WarmStandby standby = opened("/no/such/python", "");
    standby.notifyOfAddedMetric(null, "uptime", group(asked, Map.of("<host>", "a")));
    standby.notifyOfAddedMetric(null, "uptime", group(asked, Map.of("<host>", "a", "<tm_id>", "tm-1")));
    assertEquals(2, asked.get());
    standby.notifyOfAddedMetric(null, "uptime", group(asked, Map.of("<host>", "a", "<tm_id>", "tm-1")));
    assertEquals(2, asked.get(), "it has begun, and looks no more");
  }

  @Test
  void aPythonWithoutThePackagesIsLeftAlone() throws Exception {
    assertFalse(opened("/no/such/python", "").warm());
    Path program = Files.createTempFile("python", "");
    Files.writeString(program, "#!/bin/sh\nexit 1\n");
    assertTrue(program.toFile().setExecutable(true));
    assertFalse(opened(program.toString(), "").warm());
    Files.delete(program);
  }

  @Test
  void aJobFollowsAWarmUp() throws Exception {
    Path python = Path.of(System.getProperty("keepline.python"));
    Assumptions.assumeTrue(Files.isExecutable(python), () -> "skipped: there is no Python at " + python + "; make setup provides it");
    assertTrue(opened(python.toString(), "").warm());
    try (Harness h = Kernels.open(new Settings())) {
      h.event("a", "count");
      h.getOperator().prepareSnapshotPreBarrier(1);
      assertEquals(List.of(1), h.counts());
    }
  }
}
