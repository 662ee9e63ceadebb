package io.keepline.peer;

import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import org.apache.flink.core.memory.DataInputDeserializer;
import org.apache.flink.core.memory.DataOutputSerializer;

/**
 * For the test: {@code ScoreFile MANIFEST EVENTS SCORES} scores a file of framed events, each behind its length, without Flink and Kafka.
 * After each event the state goes through its serializer and back. An event that gives no score leaves the length 0.
 */
public final class ScoreFile {
  private ScoreFile() {}

  public static void main(String[] arguments) throws Exception {
    Scoring scoring = new Scoring(new Model(Model.read(arguments[0])));
    CustomerKey customerKey = new CustomerKey();
    StateSerializer serializer = new StateSerializer();
    Map<String, byte[]> states = new HashMap<>();
    try (DataInputStream in = new DataInputStream(new BufferedInputStream(Files.newInputStream(Path.of(arguments[1]))));
        DataOutputStream out = new DataOutputStream(new BufferedOutputStream(Files.newOutputStream(Path.of(arguments[2]))))) {
      while (true) {
        int length;
        try {
          length = in.readInt();
        } catch (EOFException end) {
          return;
        }
        byte[] value = in.readNBytes(length);
        String customer = customerKey.getKey(value);
        byte[] state = scoring.take(states.get(customer), value);
        byte[] score = scoring.outcome == Scoring.Outcome.SCORED ? scoring.score(state) : new byte[0];
        out.writeInt(score.length);
        out.write(score);
        if (state != null) {
          states.put(customer, throughBytes(serializer, state));
        }
      }
    }
  }

  private static byte[] throughBytes(StateSerializer serializer, byte[] state) throws IOException {
    DataOutputSerializer out = new DataOutputSerializer(64);
    serializer.serialize(state, out);
    return serializer.deserialize(new DataInputDeserializer(out.getCopyOfBuffer()));
  }
}
