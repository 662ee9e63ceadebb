package io.keepline.peer;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.stream.IntStream;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.ObjectMapper;

/** The logistic model of a manifest: contributions, probability, the three largest contributions. */
final class Model {
  static final int REASONS = 3;

  /** Magnitudes that differ in the last eight bits count as equal: then the earlier feature comes first. */
  private static final long MAGNITUDE = 0x7fff_ffff_ffff_ff00L;

  final String id;
  final int version;
  final double[] contributions = new double[Features.NAMES.length];
  final int[] reasons = new int[REASONS];
  private final double[] coefficients = new double[Features.NAMES.length];
  private final double[] centers = new double[Features.NAMES.length];
  private final int[] logarithmic;
  private final double intercept;
  private final double low;
  private final double high;

  Model(String manifest) throws IOException {
    JsonNode root = new ObjectMapper().readTree(manifest);
    id = root.get("model_id").asText();
    version = root.get("version").asInt();
    low = root.get("bands").get(0).asDouble();
    high = root.get("bands").get(1).asDouble();
    boolean[] logarithm = new boolean[Features.NAMES.length];
    boolean[] found = new boolean[Features.NAMES.length];
    double sum = root.get("intercept").asDouble();
    for (JsonNode term : root.get("terms")) {
      int j = Arrays.asList(Features.NAMES).indexOf(term.get("name").asText());
      if (j < 0) {
        throw new IOException("the model has a feature " + term.get("name") + " that this job does not compute");
      }
      found[j] = true;
      coefficients[j] = term.get("coefficient").asDouble();
      centers[j] = term.get("center").asDouble();
      logarithm[j] = term.get("transform").asText().equals("log1p");
      sum += coefficients[j] * centers[j];
    }
    for (int j = 0; j < found.length; j++) {
      if (!found[j]) {
        throw new IOException("the model has no term for " + Features.NAMES[j]);
      }
    }
    intercept = sum;
    logarithmic = IntStream.range(0, logarithm.length).filter(j -> logarithm[j]).toArray();
  }

  static String read(String path) throws IOException {
    return Files.readString(Path.of(path));
  }

  /** The probability for a row; fills {@link #contributions}. */
  double score(double[] row) {
    double[] c = contributions;
    for (int j = 0; j < c.length; j++) {
      c[j] = coefficients[j] * (row[j] - centers[j]);
    }
    for (int j : logarithmic) {
      c[j] = coefficients[j] * (Math.log1p(Math.max(row[j], 0)) - centers[j]);
    }
    double z0 = intercept;
    double z1 = 0;
    double z2 = 0;
    double z3 = 0;
    for (int j = 0; j < c.length; j += 4) {
      z0 += c[j];
      z1 += c[j + 1];
      z2 += c[j + 2];
      z3 += c[j + 3];
    }
    return 1 / (1 + Math.exp(-((z0 + z1) + (z2 + z3))));
  }

  int band(double probability) {
    return probability >= high ? 2 : probability >= low ? 1 : 0;
  }

  /** Finds the places of the three largest contributions by magnitude, largest first. */
  void findReasons() {
    long first = -1;
    long second = -1;
    long third = -1;
    for (int j = 0; j < contributions.length; j++) {
      // The place stands in the low bits, turned round so that the earlier one is larger.
      long key = (Double.doubleToRawLongBits(contributions[j]) & MAGNITUDE) | (255 - j);
      if (key > third) {
        if (key > second) {
          third = second;
          if (key > first) {
            second = first;
            first = key;
          } else {
            second = key;
          }
        } else {
          third = key;
        }
      }
    }
    reasons[0] = 255 - (int) (first & 255);
    reasons[1] = 255 - (int) (second & 255);
    reasons[2] = 255 - (int) (third & 255);
  }
}
