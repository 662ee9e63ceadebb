package io.keepline.redis;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.StreamWriteFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.generic.IndexedRecord;

/** What {@link View} makes of a record, made from the record's objects: its twin. */
final class NaiveView {
  private static final ObjectMapper JSON =
      new ObjectMapper(JsonFactory.builder().enable(StreamWriteFeature.USE_FAST_DOUBLE_WRITER).build());

  private NaiveView() {}

  static List<String> hash(GenericRecord record, String template, long asOf, long sequence) throws IOException {
    Matcher fields = Pattern.compile("\\{(\\w+)}").matcher(template);
    List<String> hash = new ArrayList<>();
    hash.add(fields.replaceAll(match -> {
      try {
        return Matcher.quoteReplacement(text(record.get(match.group(1))));
      } catch (IOException e) {
        throw new IllegalStateException(e);
      }
    }));
    hash.add(Long.toString(asOf));
    hash.add(Long.toString(sequence));
    for (Schema.Field field : record.getSchema().getFields()) {
      Object value = record.get(field.pos());
      if (value != null && !field.name().equals("as_of") && !field.name().equals("sequence")) {
        hash.add(field.name());
        hash.add(text(value));
      }
    }
    return hash;
  }

  /** The mark of an erased hash, from the key of its tombstone. */
  static List<String> erased(String key, String template, long asOf, long sequence) {
    String customer = key;
    String score = "";
    if (template.contains("{score}")) {
      Matcher parts = Pattern.compile("(.*)\\|([^|]*)\\|([^|]*)", Pattern.DOTALL).matcher(key);
      if (!parts.matches()) {
        throw new IllegalArgumentException(key);
      }
      customer = parts.group(1);
      score = parts.group(2);
    }
    Map<String, String> known = Map.of("customer_id", customer, "score", score);
    String redisKey = Pattern.compile("\\{(\\w+)}").matcher(template).replaceAll(m -> Matcher.quoteReplacement(known.get(m.group(1))));
    return List.of(redisKey, Long.toString(asOf), Long.toString(sequence), "erased", "1");
  }

  private static String text(Object v) throws IOException {
    if (v instanceof java.nio.ByteBuffer) {
      return StandardCharsets.UTF_8.decode(((java.nio.ByteBuffer) v).duplicate()).toString();
    }
    boolean nested = v instanceof Collection || v instanceof IndexedRecord || v instanceof Map;
    // A number alone as JSON writes it, so that there is one spelling of a double.
    return nested ? JSON.writeValueAsString(plain(v)) : v instanceof Double ? JSON.writeValueAsString(v) : String.valueOf(v);
  }

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
}
