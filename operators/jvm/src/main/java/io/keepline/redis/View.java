package io.keepline.redis;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.StreamWriteFeature;
import com.fasterxml.jackson.core.io.schubfach.DoubleToDecimal;
import io.keepline.PackedOut;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.Serializable;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.avro.Schema;
import org.apache.avro.io.BinaryDecoder;
import org.apache.avro.io.DecoderFactory;
import org.apache.avro.util.Utf8;

/**
 * How the frames of one channel appear in Redis: a hash under a key made from a template such as {@code keepline:score:{customer_id}}, with
 * one field for each field of the record. Times are epoch milliseconds, enums their symbols, arrays, maps and records JSON; a null is left
 * out. Doubles are the shortest text that reads back as the same number. {@code as_of} and {@code sequence} come from the frame.
 *
 * <p>A frame without a value is a tombstone: the hash is to go. What a template names then comes from the frame's key, which is
 * {@code customer_id|score|role} where the template has {@code {score}}, else the customer_id alone. For a while a mark stays in the
 * hash's place, {as_of, sequence, erased: 1}, which an older write does not get past.
 *
 * <p>A value goes from Avro's bytes to text without an object for the record in between: this runs for each write.
 */
final class View implements Serializable {
  private static final long serialVersionUID = 1L;
  private static final int FRAMING = 10;
  private static final Pattern FIELD = Pattern.compile("\\{(\\w+)}");
  private static final byte[] NOTHING = new byte[0];
  private static final byte[] NULL = utf8("null");
  private static final byte[] ERASED = utf8("erased");
  private static final byte[] ONE = utf8("1");

  private final String schemaJson;
  private final String template;
  private transient Reader reader;

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

  /** True for a frame that has no value, or one of no bytes. */
  static boolean tombstone(byte[] frame) {
    return frame.length == PackedOut.HEADER + PackedOut.keyLength(frame);
  }

  /** Redis key, then as_of and sequence, then field, value, field, value… */
  List<byte[]> hash(byte[] frame) throws IOException {
    if (reader == null) {
      reader = new Reader(new Schema.Parser().parse(schemaJson), template);
    }
    if (tombstone(frame)) {
      return reader.erased(frame);
    }
    int at = PackedOut.HEADER + PackedOut.keyLength(frame);
    if (frame.length - at < FRAMING) {
      throw new IOException("a frame without a single-object value");
    }
    return reader.hash(frame, at + FRAMING);
  }

  /** The schema and the template, taken apart once. */
  private static final class Reader {
    private final List<Schema> schemas = new ArrayList<>();
    private final byte[][] names;
    /** By field: not written, for the frame has it. */
    private final boolean[] given;
    /** The template's texts, each before the field of the same place (and name); one more at the end. */
    private final List<byte[]> texts = new ArrayList<>();
    private final List<Integer> places = new ArrayList<>();
    private final List<String> named = new ArrayList<>();
    private final byte[][] values;
    private final JsonFactory json = JsonFactory.builder().enable(StreamWriteFeature.USE_FAST_DOUBLE_WRITER).build();
    private final ByteArrayOutputStream out = new ByteArrayOutputStream(256);
    private BinaryDecoder in;
    private Utf8 text = new Utf8();

    Reader(Schema schema, String template) {
      int n = schema.getFields().size();
      names = new byte[n][];
      given = new boolean[n];
      values = new byte[n][];
      for (Schema.Field field : schema.getFields()) {
        schemas.add(field.schema());
        names[field.pos()] = utf8(field.name());
        given[field.pos()] = field.name().equals("as_of") || field.name().equals("sequence");
      }
      Matcher fields = FIELD.matcher(template);
      int end = 0;
      for (; fields.find(); end = fields.end()) {
        texts.add(utf8(template.substring(end, fields.start())));
        places.add(schema.getField(fields.group(1)).pos());
        named.add(fields.group(1));
      }
      texts.add(utf8(template.substring(end)));
    }

    /** What takes the place of an erased hash. */
    List<byte[]> erased(byte[] frame) throws IOException {
      int end = PackedOut.HEADER + PackedOut.keyLength(frame);
      int role = 0;
      if (named.contains("score")) {
        role = lastBar(frame, end);
        end = lastBar(frame, role);
        if (end < PackedOut.HEADER) {
          throw new IOException("a tombstone whose key is not customer_id|score|role");
        }
      }
      out.reset();
      for (int i = 0; i < named.size(); i++) {
        out.writeBytes(texts.get(i));
        switch (named.get(i)) {
          case "customer_id":
            out.write(frame, PackedOut.HEADER, end - PackedOut.HEADER);
            break;
          case "score":
            out.write(frame, end + 1, role - end - 1);
            break;
          default:
            throw new IOException("a tombstone for a Redis key that names {" + named.get(i) + "}, which a frame's key does not hold");
        }
      }
      out.writeBytes(texts.get(named.size()));
      return List.of(out.toByteArray(), ascii(PackedOut.asOf(frame)), ascii(PackedOut.sequence(frame)), ERASED, ONE);
    }

    /** Where the last | of the key stands before {@code end}; in front of the key where there is none. */
    private static int lastBar(byte[] frame, int end) {
      int at = end - 1;
      while (at >= PackedOut.HEADER && frame[at] != '|') {
        at--;
      }
      return at;
    }

    List<byte[]> hash(byte[] frame, int from) throws IOException {
      in = DecoderFactory.get().binaryDecoder(frame, from, frame.length - from, in);
      List<byte[]> arguments = new ArrayList<>(2 * names.length + 3);
      arguments.add(null);
      arguments.add(ascii(PackedOut.asOf(frame)));
      arguments.add(ascii(PackedOut.sequence(frame)));
      for (int i = 0; i < names.length; i++) {
        values[i] = value(schemas.get(i));
        if (values[i] != null && !given[i]) {
          arguments.add(names[i]);
          arguments.add(values[i]);
        }
      }
      out.reset();
      for (int i = 0; i < places.size(); i++) {
        out.writeBytes(texts.get(i));
        byte[] value = values[places.get(i)];
        out.writeBytes(value == null ? NULL : value);
      }
      out.writeBytes(texts.get(places.size()));
      arguments.set(0, out.toByteArray());
      return arguments;
    }

    /** The text of the value that stands next; null for a null. */
    private byte[] value(Schema schema) throws IOException {
      switch (schema.getType()) {
        case UNION:
          return value(schema.getTypes().get(in.readIndex()));
        case NULL:
          in.readNull();
          return null;
        case STRING:
          text = in.readString(text);
          return utf8Bytes(text);
        case BYTES:
          return bytes(in.readBytes(null));
        case FIXED:
          byte[] fixed = new byte[schema.getFixedSize()];
          in.readFixed(fixed);
          return fixed;
        case ENUM:
          return utf8(schema.getEnumSymbols().get(in.readEnum()));
        case BOOLEAN:
          return utf8(Boolean.toString(in.readBoolean()));
        case INT:
          return ascii(in.readInt());
        case LONG:
          return ascii(in.readLong());
        case FLOAT:
          return utf8(Float.toString(in.readFloat()));
        case DOUBLE:
          return utf8(DoubleToDecimal.toString(in.readDouble()));
        default:
          out.reset();
          try (JsonGenerator writer = json.createGenerator(out)) {
            write(schema, writer);
          }
          return out.toByteArray();
      }
    }

    /** The value that stands next as JSON. */
    private void write(Schema schema, JsonGenerator writer) throws IOException {
      switch (schema.getType()) {
        case RECORD:
          writer.writeStartObject();
          for (Schema.Field field : schema.getFields()) {
            writer.writeFieldName(field.name());
            write(field.schema(), writer);
          }
          writer.writeEndObject();
          break;
        case ARRAY:
          writer.writeStartArray();
          for (long n = in.readArrayStart(); n > 0; n = in.arrayNext()) {
            for (long i = 0; i < n; i++) {
              write(schema.getElementType(), writer);
            }
          }
          writer.writeEndArray();
          break;
        case MAP:
          writer.writeStartObject();
          for (long n = in.readMapStart(); n > 0; n = in.mapNext()) {
            for (long i = 0; i < n; i++) {
              writer.writeFieldName(in.readString());
              write(schema.getValueType(), writer);
            }
          }
          writer.writeEndObject();
          break;
        case UNION:
          write(schema.getTypes().get(in.readIndex()), writer);
          break;
        case NULL:
          in.readNull();
          writer.writeNull();
          break;
        case BOOLEAN:
          writer.writeBoolean(in.readBoolean());
          break;
        case INT:
          writer.writeNumber(in.readInt());
          break;
        case LONG:
          writer.writeNumber(in.readLong());
          break;
        case FLOAT:
          writer.writeNumber(in.readFloat());
          break;
        case DOUBLE:
          writer.writeNumber(in.readDouble());
          break;
        case STRING:
          text = in.readString(text);
          writer.writeUTF8String(text.getBytes(), 0, text.getByteLength());
          break;
        default:
          writer.writeString(new String(value(schema), StandardCharsets.UTF_8));
      }
    }
  }

  private static byte[] bytes(ByteBuffer buffer) {
    byte[] b = new byte[buffer.remaining()];
    buffer.get(b);
    return b;
  }

  private static byte[] utf8Bytes(Utf8 text) {
    int n = text.getByteLength();
    return n == 0 ? NOTHING : java.util.Arrays.copyOf(text.getBytes(), n);
  }

  private static byte[] ascii(long n) {
    return Long.toString(n).getBytes(StandardCharsets.ISO_8859_1);
  }

  private static byte[] utf8(String s) {
    return s.getBytes(StandardCharsets.UTF_8);
  }
}
