package io.keepline.redis;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.StreamWriteFeature;
import com.fasterxml.jackson.core.io.schubfach.DoubleToDecimal;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.keepline.PackedOut;
import java.io.IOException;
import java.io.Serializable;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.generic.IndexedRecord;
import org.apache.avro.io.BinaryDecoder;
import org.apache.avro.io.DecoderFactory;

/**
 * How the frames of one channel appear in Redis: a hash under a key made from a template such as {@code keepline:score:{customer_id}}, with
 * one field for each field of the record. Times are epoch milliseconds, enums their symbols, arrays and records JSON; a null is left out.
 * Doubles are the shortest text that reads back as the same number. {@code as_of} and {@code sequence} come from the frame.
 */
final class View implements Serializable {
  private static final long serialVersionUID = 1L;
  private static final int FRAMING = 10;
  private static final ObjectMapper JSON =
      new ObjectMapper(JsonFactory.builder().enable(StreamWriteFeature.USE_FAST_DOUBLE_WRITER).build());
  private static final Pattern FIELD = Pattern.compile("\\{(\\w+)}");

  private final String schemaJson;
  private final String template;
  private transient GenericDatumReader<GenericRecord> reader;
  private transient BinaryDecoder decoder;

  View(String schemaJson, String template) {
    this.schemaJson = schemaJson;
    this.template = template;
    Schema schema = new Schema.Parser().parse(schemaJson);
    Matcher fields = FIELD.matcher(template);
    while (fields.find()) {
      if (schema.getField(fields.group(1)) == null) {
        throw new IllegalArgumentException("the Redis key '" + template + "' names {" + fields.group(1) + "}, which is no field of "
            + schema.getFullName() + ": " + schema.getFields());
      }
    }
  }

  /** Redis key, then as_of and sequence, then field, value, field, value… */
  List<byte[]> hash(byte[] frame) throws IOException {
    if (reader == null) {
      reader = new GenericDatumReader<>(new Schema.Parser().parse(schemaJson));
    }
    byte[] value = PackedOut.value(frame);
    if (value == null || value.length < FRAMING) {
      throw new IOException("a frame without a single-object value");
    }
    decoder = DecoderFactory.get().binaryDecoder(value, FRAMING, value.length - FRAMING, decoder);
    GenericRecord record = reader.read(null, decoder);
    Matcher fields = FIELD.matcher(template);
    String key = fields.replaceAll(match -> Matcher.quoteReplacement(String.valueOf(record.get(match.group(1)))));
    List<byte[]> arguments = new ArrayList<>(2 * record.getSchema().getFields().size() + 3);
    arguments.add(utf8(key));
    arguments.add(utf8(Long.toString(PackedOut.asOf(frame))));
    arguments.add(utf8(Long.toString(PackedOut.sequence(frame))));
    for (Schema.Field field : record.getSchema().getFields()) {
      Object v = record.get(field.pos());
      if (v != null && !field.name().equals("as_of") && !field.name().equals("sequence")) {
        arguments.add(utf8(field.name()));
        arguments.add(v instanceof ByteBuffer ? bytes((ByteBuffer) v) : utf8(text(v)));
      }
    }
    return arguments;
  }

  private static String text(Object v) throws IOException {
    boolean nested = v instanceof Collection || v instanceof IndexedRecord || v instanceof Map;
    return nested ? JSON.writeValueAsString(plain(v)) : v instanceof Double ? DoubleToDecimal.toString((Double) v) : v.toString();
  }

  /** Avro's objects as the JDK's, for the JSON writer. */
  private static Object plain(Object v) {
    if (v instanceof Collection) {
      List<Object> items = new ArrayList<>();
      ((Collection<?>) v).forEach(item -> items.add(plain(item)));
      return items;
    }
    Map<String, Object> fields = new LinkedHashMap<>();
    if (v instanceof Map) {
      ((Map<?, ?>) v).forEach((name, item) -> fields.put(name.toString(), plain(item)));
      return fields;
    }
    if (v instanceof IndexedRecord) {
      IndexedRecord record = (IndexedRecord) v;
      record.getSchema().getFields().forEach(field -> fields.put(field.name(), plain(record.get(field.pos()))));
      return fields;
    }
    return v == null || v instanceof Number || v instanceof Boolean ? v : v.toString();
  }

  private static byte[] bytes(ByteBuffer buffer) {
    byte[] b = new byte[buffer.remaining()];
    buffer.duplicate().get(b);
    return b;
  }

  private static byte[] utf8(String s) {
    return s.getBytes(StandardCharsets.UTF_8);
  }
}
