package io.keepline.redis;

import static io.keepline.ChannelSerializerTest.frame;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericDatumWriter;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.BinaryEncoder;
import org.apache.avro.io.EncoderFactory;
import org.junit.jupiter.api.Test;

/** Frames as hashes, against a naive twin. */
class ViewTest {
  private static final String JSON = String.join("", "{'type':'record','name':'All','fields':[{'name':'text','type':'string'},",
      "{'name':'as_of','type':{'type':'long','logicalType':'timestamp-millis'}},{'name':'number','type':'int'},{'name':'long','type':'long'},",
      "{'name':'float','type':'float'},{'name':'double','type':'double'},{'name':'yes','type':'boolean'},{'name':'raw','type':'bytes'},",
      "{'name':'band','type':{'type':'enum','name':'Band','symbols':['LOW','HIGH']}},{'name':'maybe','type':['null','string']},",
      "{'name':'either','type':['long','double','null']},{'name':'list','type':{'type':'array','items':{'type':'record','name':'Item','fields':[",
      "{'name':'name','type':'string'},{'name':'value','type':['null','double']},{'name':'band','type':'Band'},{'name':'n','type':'int'}]}}},",
      "{'name':'map','type':{'type':'map','values':{'type':'array','items':'boolean'}}},{'name':'inner','type':['null','Item']},",
      "{'name':'sequence','type':'long'}]}").replace('\'', '"');
  private static final Schema SCHEMA = new Schema.Parser().parse(JSON);
  private static final String[] TEMPLATES = {"k", "{text}", "k:{text}", "{text}:{number}:{band}", "k:{maybe}!{double}{list}"};
  private final Random random = new Random(7);

  private String text() {
    StringBuilder s = new StringBuilder();
    for (int i = random.nextInt(12); i > 0; i--) {
      s.append(new String[] {"a", "\"", "\\", "$1", "é", "漢", "\u0001", "\n", "😀", "{text}", "/", "long enough to be escaped somewhere "}[
          random.nextInt(12)]);
    }
    return s.toString();
  }

  private double number() {
    switch (random.nextInt(6)) {
      case 0:
        return random.nextInt(2000) - 1000;
      case 1:
        return Double.longBitsToDouble(random.nextLong());
      case 2:
        return new double[] {0.0, -0.0, 0.1, 2e-3, 1e7, 1e21, Double.MIN_VALUE, Double.MAX_VALUE}[random.nextInt(8)];
      default:
        return random.nextGaussian();
    }
  }

  private GenericRecord item(Schema schema) {
    GenericRecord item = new GenericData.Record(schema);
    item.put("name", text());
    item.put("value", random.nextBoolean() ? null : finite());
    item.put("band", new GenericData.EnumSymbol(schema.getField("band").schema(), random.nextBoolean() ? "LOW" : "HIGH"));
    item.put("n", random.nextInt());
    return item;
  }

  private double finite() {
    double d = number();
    return Double.isFinite(d) ? d : 0.5;
  }

  private GenericRecord record() {
    GenericRecord record = new GenericData.Record(SCHEMA);
    record.put("text", text());
    record.put("as_of", random.nextLong());
    record.put("number", random.nextInt());
    record.put("long", random.nextLong());
    record.put("float", random.nextFloat());
    record.put("double", finite());
    record.put("yes", random.nextBoolean());
    record.put("raw", ByteBuffer.wrap(text().getBytes(StandardCharsets.UTF_8)));
    record.put("band", new GenericData.EnumSymbol(SCHEMA.getField("band").schema(), random.nextBoolean() ? "LOW" : "HIGH"));
    record.put("maybe", random.nextBoolean() ? null : text());
    record.put("either", random.nextInt(3) == 0 ? null : random.nextBoolean() ? (Object) random.nextLong() : (Object) finite());
    Schema item = SCHEMA.getField("list").schema().getElementType();
    List<GenericRecord> list = new ArrayList<>();
    Map<String, List<Boolean>> map = new LinkedHashMap<>();
    for (int i = random.nextInt(4); i > 0; i--) {
      list.add(item(item));
    }
    if (random.nextBoolean()) { // one entry, for the order of more is not told; and a key that has one spelling in JSON
      map.put(text().replace("😀", ""), List.of(true, random.nextBoolean()));
    }
    record.put("list", list);
    record.put("map", map);
    record.put("inner", random.nextBoolean() ? null : item(item));
    record.put("sequence", random.nextLong());
    return record;
  }

  private static byte[] value(GenericRecord record) throws IOException {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    out.writeBytes(new byte[10]);
    BinaryEncoder encoder = EncoderFactory.get().binaryEncoder(out, null);
    new GenericDatumWriter<GenericRecord>(record.getSchema()).write(record, encoder);
    encoder.flush();
    return out.toByteArray();
  }

  @Test
  void hashesAreThoseOfTheTwin() throws Exception {
    View[] views = new View[TEMPLATES.length];
    for (int i = 0; i < views.length; i++) {
      views[i] = new View(JSON, TEMPLATES[i]);
    }
    for (int n = 0; n < 5000; n++) {
      GenericRecord record = record();
      int i = n % views.length;
      byte[] frame = frame(0, text(), value(record), n - 100, 3L * n, 0);
      List<String> hash = views[i].hash(frame).stream().map(b -> new String(b, StandardCharsets.UTF_8)).toList();
      assertEquals(NaiveView.hash(record, TEMPLATES[i], n - 100, 3L * n), hash, "of " + record);
    }
  }

  @Test
  void aDamagedValueIsRefusedAndTheNextOneIsRead() throws Exception {
    View view = new View(JSON, "k:{text}");
    GenericRecord record = record();
    byte[] whole = value(record);
    List<byte[]> expected = view.hash(frame(0, "c", whole, 1, 1, 0));
    for (int length : new int[] {1, 9, 10, 11, whole.length - 1}) {
      byte[] cut = frame(0, "c", java.util.Arrays.copyOf(whole, length), 1, 1, 0);
      assertThrows(IOException.class, () -> view.hash(cut), "cut to " + length);
      List<byte[]> again = view.hash(frame(0, "c", whole, 1, 1, 0));
      for (int i = 0; i < expected.size(); i++) {
        org.junit.jupiter.api.Assertions.assertArrayEquals(expected.get(i), again.get(i));
      }
    }
  }

  private static final String KEYED = "{'type':'record','name':'Keyed','fields':[{'name':'customer_id','type':'string'},"
      .concat("{'name':'score','type':'string'},{'name':'role','type':'string'}]}").replace('\'', '"');

  @Test
  void tombstonesAreThoseOfTheTwin() throws Exception {
    String[] templates = {"k:{customer_id}", "{score}", "{score}:{customer_id}{score}", "{customer_id}", "keepline:score:{customer_id}:{score}"};
    for (int n = 0; n < 2000; n++) {
      String template = templates[n % templates.length];
      String customer = text() + (random.nextInt(3) == 0 ? "|" + text() + "|churn|" : "");
      String key = template.contains("{score}") ? customer + "|" + text() + "|CHAMPION" : customer;
      byte[] frame = frame(0, key, random.nextBoolean() ? null : new byte[0], n - 100, 3L * n, 0);
      List<String> hash = new View(KEYED, template).hash(frame).stream().map(b -> new String(b, StandardCharsets.UTF_8)).toList();
      assertEquals(NaiveView.erased(key, template, n - 100, 3L * n), hash, "of " + key);
    }
  }

  @Test
  void aTombstoneThatDoesNotSayWhichHashIsRefused() {
    View score = new View(KEYED, "keepline:score:{customer_id}:{score}");
    for (String key : new String[] {"", "c", "c|churn", "|"}) {
      assertThrows(IOException.class, () -> score.hash(frame(0, key, null, 1, 1, 0)), key);
    }
    String why = assertThrows(IOException.class, () -> new View(KEYED, "k:{role}").hash(frame(0, "c", null, 1, 1, 0))).getMessage();
    assertEquals("a tombstone for a Redis key that names {role}, which a frame's key does not hold", why);
  }
}
