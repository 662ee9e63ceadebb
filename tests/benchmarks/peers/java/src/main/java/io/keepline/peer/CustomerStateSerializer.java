package io.keepline.peer;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.DoubleBuffer;
import java.nio.IntBuffer;
import java.nio.LongBuffer;
import org.apache.flink.api.common.typeutils.SimpleTypeSerializerSnapshot;
import org.apache.flink.api.common.typeutils.TypeSerializer;
import org.apache.flink.api.common.typeutils.TypeSerializerSnapshot;
import org.apache.flink.core.memory.DataInputView;
import org.apache.flink.core.memory.DataOutputView;

/**
 * A state as bytes: the arrays in one piece, by bulk copies, then bills and contract. Counts take a byte each where all are below 256, as is
 * usual, else four.
 */
public final class CustomerStateSerializer extends TypeSerializer<CustomerState> {
  private static final long serialVersionUID = 1L;

  private static final int FIELDS = 5 + 6;
  private static final int IDS_AT = 8 * FIELDS;
  private static final int SUMS_AT = IDS_AT + 8 * CustomerState.REMEMBERED;
  private static final int TOTALS_AT = SUMS_AT + 8 * CustomerState.ALL_SUMS;
  private static final int COUNTS_AT = TOTALS_AT + 4 * CustomerState.ALL_TOTALS;
  private static final int NARROW_SIZE = COUNTS_AT + CustomerState.ALL_COUNTS;
  private static final int WIDE_SIZE = COUNTS_AT + 4 * CustomerState.ALL_COUNTS;
  private static final int WIDE = 1;
  private static final int CONTRACT = 2;

  // One serializer serves one thread: Flink duplicates it for others.
  private transient byte[] bytes;
  private transient LongBuffer fields;
  private transient LongBuffer ids;
  private transient DoubleBuffer sums;
  private transient IntBuffer totals;
  private transient IntBuffer counts;

  private void prepare() {
    bytes = new byte[WIDE_SIZE];
    ByteBuffer buffer = ByteBuffer.wrap(bytes).order(ByteOrder.nativeOrder());
    fields = buffer.asLongBuffer();
    ids = buffer.position(IDS_AT).slice().order(ByteOrder.nativeOrder()).asLongBuffer();
    sums = buffer.position(SUMS_AT).slice().order(ByteOrder.nativeOrder()).asDoubleBuffer();
    totals = buffer.position(TOTALS_AT).slice().order(ByteOrder.nativeOrder()).asIntBuffer();
    counts = buffer.position(COUNTS_AT).slice().order(ByteOrder.nativeOrder()).asIntBuffer();
  }

  @Override
  public void serialize(CustomerState s, DataOutputView out) throws IOException {
    if (bytes == null) {
      prepare();
    }
    fields.put(0, s.newest);
    fields.put(1, s.hour);
    fields.put(2, s.day);
    fields.put(3, s.lastCall);
    fields.put(4, s.lastPayment);
    fields.put(5, Double.doubleToRawLongBits(s.seconds24h));
    fields.put(6, Double.doubleToRawLongBits(s.seconds7d));
    fields.put(7, Double.doubleToRawLongBits(s.seconds30d));
    fields.put(8, Double.doubleToRawLongBits(s.megabytes24h));
    fields.put(9, Double.doubleToRawLongBits(s.megabytes7d));
    fields.put(10, Double.doubleToRawLongBits(s.megabytes30d));
    ids.put(0, s.recentIds);
    sums.put(0, s.sums);
    totals.put(0, s.totals);
    boolean wide = !narrow(s.counts, bytes);
    if (wide) {
      counts.put(0, s.counts);
    }
    out.writeByte((wide ? WIDE : 0) | (s.contract != null ? CONTRACT : 0));
    out.writeByte(s.nextId);
    out.write(bytes, 0, wide ? WIDE_SIZE : NARROW_SIZE);
    Ledger.Bill[] bills = s.ledger.bills;
    out.writeByte(bills.length);
    for (Ledger.Bill bill : bills) {
      out.writeLong(bill.idHash());
      out.writeLong(bill.time());
      out.writeLong(bill.due());
      out.writeDouble(bill.amount());
      out.writeLong(bill.paid());
    }
    Contract contract = s.contract;
    if (contract != null) {
      out.writeLong(contract.time());
      out.writeLong(contract.startedTime());
      out.writeInt(contract.months());
      out.writeDouble(contract.monthlyCharge());
      out.writeByte(contract.internet());
      out.writeBoolean(contract.autopay());
      out.writeBoolean(contract.paperless());
    }
  }

  /** Writes the counts as bytes; false where one does not fit. */
  private static boolean narrow(int[] counts, byte[] bytes) {
    int all = 0;
    for (int i = 0; i < CustomerState.ALL_COUNTS; i++) {
      all |= counts[i];
    }
    for (int i = 0; i < CustomerState.ALL_COUNTS; i++) {
      bytes[COUNTS_AT + i] = (byte) counts[i];
    }
    return (all & ~0xff) == 0;
  }

  @Override
  public CustomerState deserialize(DataInputView in) throws IOException {
    if (bytes == null) {
      prepare();
    }
    int flags = in.readByte();
    int nextId = in.readByte();
    boolean wide = (flags & WIDE) != 0;
    in.readFully(bytes, 0, wide ? WIDE_SIZE : NARROW_SIZE);
    CustomerState s = new CustomerState(
        new long[CustomerState.REMEMBERED], new double[CustomerState.ALL_SUMS], new int[CustomerState.ALL_COUNTS], new int[CustomerState.ALL_TOTALS]);
    s.nextId = nextId;
    s.newest = fields.get(0);
    s.hour = fields.get(1);
    s.day = fields.get(2);
    s.lastCall = fields.get(3);
    s.lastPayment = fields.get(4);
    s.seconds24h = Double.longBitsToDouble(fields.get(5));
    s.seconds7d = Double.longBitsToDouble(fields.get(6));
    s.seconds30d = Double.longBitsToDouble(fields.get(7));
    s.megabytes24h = Double.longBitsToDouble(fields.get(8));
    s.megabytes7d = Double.longBitsToDouble(fields.get(9));
    s.megabytes30d = Double.longBitsToDouble(fields.get(10));
    ids.get(0, s.recentIds);
    sums.get(0, s.sums);
    totals.get(0, s.totals);
    if (wide) {
      counts.get(0, s.counts);
    } else {
      int[] counted = s.counts;
      for (int i = 0; i < CustomerState.ALL_COUNTS; i++) {
        counted[i] = bytes[COUNTS_AT + i] & 0xff;
      }
    }
    int kept = in.readByte();
    s.ledger = Ledger.EMPTY;
    if (kept > 0) {
      Ledger.Bill[] bills = new Ledger.Bill[kept];
      for (int i = 0; i < kept; i++) {
        bills[i] = new Ledger.Bill(in.readLong(), in.readLong(), in.readLong(), in.readDouble(), in.readLong());
      }
      s.ledger = new Ledger(bills);
    }
    if ((flags & CONTRACT) != 0) {
      s.contract = new Contract(
          in.readLong(), in.readLong(), in.readInt(), in.readDouble(), in.readByte(), in.readBoolean(), in.readBoolean());
    }
    return s;
  }

  @Override
  public CustomerState deserialize(CustomerState reuse, DataInputView in) throws IOException {
    return deserialize(in);
  }

  @Override
  public void copy(DataInputView in, DataOutputView out) throws IOException {
    serialize(deserialize(in), out);
  }

  @Override
  public CustomerState copy(CustomerState from) {
    return from.copy();
  }

  @Override
  public CustomerState copy(CustomerState from, CustomerState reuse) {
    return from.copy();
  }

  @Override
  public CustomerState createInstance() {
    return null;
  }

  @Override
  public boolean isImmutableType() {
    return false;
  }

  @Override
  public int getLength() {
    return -1;
  }

  @Override
  public TypeSerializer<CustomerState> duplicate() {
    return new CustomerStateSerializer();
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof CustomerStateSerializer;
  }

  @Override
  public int hashCode() {
    return CustomerStateSerializer.class.hashCode();
  }

  @Override
  public TypeSerializerSnapshot<CustomerState> snapshotConfiguration() {
    return new Snapshot();
  }

  /** What a savepoint says about the serializer. */
  public static final class Snapshot extends SimpleTypeSerializerSnapshot<CustomerState> {
    public Snapshot() {
      super(CustomerStateSerializer::new);
    }
  }
}
