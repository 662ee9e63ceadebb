package io.keepline.redis;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/**
 * The script that writes hashes, several a call, each only where it is newer than what stands there.
 *
 * <p>While a script runs everybody else waits, and Redis' Lua slows down with long lists of arguments: a few hashes a call cost it least
 * (docs/decisions/0010). A key that Redis refuses, for it has another type, does not keep the others from being written.
 */
final class HashScript {
  /** Hashes a call at most. */
  static final int KEYS = 8;
  /**
   * How long the mark of an erased hash stays, in ms: longer than a write of before the erasure can still be on its way, in the sink or
   * in a task that a restart makes again.
   */
  static final long ERASED_MS = 60_000;

  /**
   * KEYS: the hashes. ARGV: time to live in ms (0 for ever); then for each hash how many arguments are its own, and these: as_of,
   * sequence, then the other fields, each a name and a value. Answers for each 1 (written), 0 (what stands there is as new) or why it is
   * refused. A hash holds afterwards what was given and nothing else: a field more (a value that has become null, or a foreign one)
   * shows in HLEN, and the hash is then made anew; to make each anew would cost Redis more.
   */
  static final String TEXT = String.join("\n",
      "local ttl, at, told = tonumber(ARGV[1]), 2, {}",
      "for i, key in ipairs(KEYS) do",
      "  local first, last = at + 1, at + tonumber(ARGV[at])",
      "  at = last + 1",
      "  local old = redis.pcall('HMGET', key, 'as_of', 'sequence')",
      "  if old.err then",
      "    told[i] = old",
      "  else",
      "    local as_of, sequence = tonumber(old[1] or nil), tonumber(old[2] or nil)",
      "    local new = tonumber(ARGV[first + 1])",
      "    if as_of and sequence and (as_of > new or (as_of == new and sequence >= tonumber(ARGV[first + 3]))) then",
      "      told[i] = 0",
      "    else",
      "      local done = redis.pcall('HSET', key, unpack(ARGV, first, last))",
      "      if type(done) == 'table' then",
      "        told[i] = done",
      "      else",
      "        if redis.call('HLEN', key) ~= (last - first + 1) / 2 then",
      "          redis.call('DEL', key)",
      "          redis.call('HSET', key, unpack(ARGV, first, last))",
      "        end",
      "        if ttl > 0 then redis.call('PEXPIRE', key, ttl) else redis.call('PERSIST', key) end",
      "        told[i] = 1",
      "      end",
      "    end",
      "  end",
      "end",
      "return told");

  private static final byte[] AS_OF = ascii("as_of");
  private static final byte[] SEQUENCE = ascii("sequence");

  private HashScript() {}

  /** The keys of these hashes, each as {@link View#hash} makes it. */
  static List<byte[]> keys(List<List<byte[]>> hashes) {
    List<byte[]> keys = new ArrayList<>(hashes.size());
    hashes.forEach(hash -> keys.add(hash.get(0)));
    return keys;
  }

  /** What the script takes beside the keys. */
  static List<byte[]> arguments(List<List<byte[]>> hashes, byte[] ttl) {
    List<byte[]> arguments = new ArrayList<>(1 + 32 * hashes.size());
    arguments.add(ttl);
    for (List<byte[]> hash : hashes) {
      arguments.add(ascii(Integer.toString(hash.size() + 1)));
      arguments.add(AS_OF);
      arguments.add(hash.get(1));
      arguments.add(SEQUENCE);
      arguments.add(hash.get(2));
      arguments.addAll(hash.subList(3, hash.size()));
    }
    return arguments;
  }

  static byte[] ascii(String text) {
    return text.getBytes(StandardCharsets.US_ASCII);
  }
}
