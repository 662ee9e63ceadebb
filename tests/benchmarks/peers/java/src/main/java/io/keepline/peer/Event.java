package io.keepline.peer;

/**
 * One telemetry event, decoded by hand from Avro single-object encoding (C3 01, the schema's fingerprint, Avro binary).
 *
 * <p>One object is used for all events of a subtask. Strings are not made: the two that a score repeats are kept as places in the value, and
 * ids that are only compared (event, bill) as 64-bit hashes.
 */
final class Event {
  static final int CALL = 0;
  static final int DATA_SESSION = 1;
  static final int MESSAGE = 2;
  static final int SUPPORT_CONTACT = 3;
  static final int BILL = 4;
  static final int PAYMENT = 5;
  static final int SUBSCRIPTION = 6;
  static final int UNKNOWN = -1;

  // CRC-64-AVRO of the schemas in schemas/events, as they stand little-endian behind C3 01.
  private static final long CALL_SCHEMA = 0xc77f494be683a090L;
  private static final long DATA_SESSION_SCHEMA = 0x74e905bd7c4be871L;
  private static final long MESSAGE_SCHEMA = 0x8725d2c23a04d95aL;
  private static final long SUPPORT_CONTACT_SCHEMA = 0xef9a025b1b5544f6L;
  private static final long BILL_SCHEMA = 0xe283ef7e24cbd3e0L;
  private static final long PAYMENT_SCHEMA = 0xdcce0932ac2e6af3L;
  private static final long SUBSCRIPTION_SCHEMA = 0x3a36fbeb789a6328L;

  /** Where the Avro binary begins. */
  static final int BODY = 10;

  byte[] value;
  int type;
  int customerAt;
  int customerLength;
  int idAt;
  int idLength;
  long idHash;
  long time;

  /** Megabytes of a DataSession, seconds of a Call, amount of a Bill, monthly charge of a Subscription. */
  double number;

  /** Outcome of a Call, topic of a SupportContact, internet of a Subscription: the place in the schema's enum. */
  int symbol;

  /** Hash of the bill_id of a Bill or a Payment; 0 for a Payment that names none. */
  long billHash;

  /** Due time of a Bill. */
  long dueTime;

  /** What a Subscription says besides. */
  long startedTime;

  int months;
  boolean autopay;
  boolean paperless;

  private int at;

  /**
   * Decodes a value that {@link TelemetryDeserializer} has let through.
   *
   * @return false where a field is out of its range
   */
  boolean decode(byte[] bytes) {
    value = bytes;
    type = typeOf(bytes);
    at = BODY;
    customerLength = (int) readLong();
    customerAt = at;
    at += customerLength;
    idLength = (int) readLong();
    idAt = at;
    idHash = hash(bytes, at, idLength);
    at += idLength;
    time = readLong();
    switch (type) {
      case DATA_SESSION:
        number = readDouble();
        return number >= 0 && number <= Double.MAX_VALUE;
      case CALL:
        readLong(); // direction
        number = readDouble();
        symbol = (int) readLong();
        return number >= 0 && number <= Double.MAX_VALUE;
      case MESSAGE:
        return true;
      case SUPPORT_CONTACT:
        readLong(); // channel
        symbol = (int) readLong();
        return true;
      case BILL:
        billHash = readHash();
        number = readDouble();
        dueTime = readLong();
        return Math.abs(number) <= Double.MAX_VALUE;
      case PAYMENT:
        billHash = readLong() == 0 ? 0 : readHash();
        return true;
      case SUBSCRIPTION:
        int plan = (int) readLong();
        at += plan;
        startedTime = readLong();
        months = (int) readLong();
        number = readDouble();
        symbol = (int) readLong();
        autopay = value[at++] != 0;
        paperless = value[at++] != 0;
        return Math.abs(number) <= Double.MAX_VALUE;
      default:
        return false;
    }
  }

  static int typeOf(byte[] bytes) {
    long schema = Layout.getLong(bytes, 2);
    if (schema == DATA_SESSION_SCHEMA) {
      return DATA_SESSION;
    }
    if (schema == CALL_SCHEMA) {
      return CALL;
    }
    if (schema == MESSAGE_SCHEMA) {
      return MESSAGE;
    }
    if (schema == SUPPORT_CONTACT_SCHEMA) {
      return SUPPORT_CONTACT;
    }
    if (schema == BILL_SCHEMA) {
      return BILL;
    }
    if (schema == PAYMENT_SCHEMA) {
      return PAYMENT;
    }
    return schema == SUBSCRIPTION_SCHEMA ? SUBSCRIPTION : UNKNOWN;
  }

  private long readLong() {
    byte[] bytes = value;
    int p = at;
    long b = bytes[p++];
    long bits = b & 0x7f;
    for (int shift = 7; b < 0; shift += 7) {
      b = bytes[p++];
      bits |= (b & 0x7f) << shift;
    }
    at = p;
    return (bits >>> 1) ^ -(bits & 1);
  }

  private double readDouble() {
    double read = Layout.getDouble(value, at);
    at += 8;
    return read;
  }

  private long readHash() {
    int length = (int) readLong();
    long hash = hash(value, at, length);
    at += length;
    return hash;
  }

  /** 64-bit hash of a text, never 0: eight bytes at a time, each mixed with the finaliser of MurmurHash3 (Appleby, 2011). */
  static long hash(byte[] bytes, int from, int length) {
    long h = length;
    int p = from;
    int end = from + length;
    for (; p + 8 <= end; p += 8) {
      h = mix(h ^ Layout.getLong(bytes, p));
    }
    if (p < end) {
      long rest = 0;
      for (int shift = 0; p < end; shift += 8) {
        rest |= (bytes[p++] & 0xffL) << shift;
      }
      h = mix(h ^ rest);
    }
    return h == 0 ? 1 : h;
  }

  private static long mix(long h) {
    h = (h + 0x9e3779b97f4a7c15L) * 0xff51afd7ed558ccdL;
    h = (h ^ (h >>> 33)) * 0xc4ceb9fe1a85ec53L;
    return h ^ (h >>> 33);
  }
}
