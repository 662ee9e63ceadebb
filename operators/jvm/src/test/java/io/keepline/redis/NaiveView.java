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
