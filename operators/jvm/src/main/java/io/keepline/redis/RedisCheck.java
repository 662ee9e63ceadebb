package io.keepline.redis;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import javax.net.ssl.SSLException;
import redis.clients.jedis.Jedis;
import redis.clients.jedis.exceptions.JedisDataException;

/**
 * Asks Redis, before a job is submitted, whether the job may write its views: the sink would try for ever, and the job look well. With
 * the sink's own address and commands, so that it is refused where the sink would be: TLS, password, commands, keys.
 */
public final class RedisCheck {
  private RedisCheck() {}

  /**
   * "" if all is well, "away: …" if nobody answers, else why it is refused. Writes each of {@code keys}, with all that the script may do, and lets it expire.
   *
   * @param meterKey as the sink's; "" for none
   */
  public static String ask(String url, List<String> keys, String meterKey, int timeoutMs) {
    RedisAddress address;
    try {
      address = new RedisAddress(url);
    } catch (IllegalArgumentException e) {
      return e.getMessage();
    }
    String step = "does not let the job in";
    try (Jedis jedis = address.connect(timeoutMs)) {
      step = "does not load the job's script";
      String sha = jedis.scriptLoad(HashScript.TEXT);
      for (String key : keys) {
        step = "does not let the job write " + key;
        write(jedis, sha, key, "0", "1000", "more", "");
        write(jedis, sha, key, "1", "0"); // a field less: the hash is made anew
        write(jedis, sha, key, "2", "1");
      }
      if (!meterKey.isEmpty()) {
        String key = meterKey + ":submit-check";
        step = "does not let the job write " + key;
        jedis.hset(key, Map.of("count", "0"));
        jedis.expire(key, 1);
      }
      return "";
    } catch (JedisDataException e) {
      return "Redis (" + address + ") " + step + ": " + e.getMessage();
    } catch (IOException | RuntimeException e) {
      for (Throwable t = e; t != null; t = t.getCause()) {
        if (t instanceof SSLException) {
          return "Redis (" + address + ") and the job do not agree on TLS: " + t.getClass().getSimpleName() + ": " + t.getMessage();
        }
      }
      if (e instanceof IOException) { // Jedis wraps what the network says, so this is a file of the URL's
        return "Redis (" + address + "): the certificates of its authority cannot be read: " + e;
      }
      return "away: Redis (" + address + ") does not answer: " + e.getMessage();
    }
  }

  private static void write(Jedis jedis, String sha, String key, String sequence, String ttl, String... fields) {
    List<byte[]> hash = new ArrayList<>(List.of(bytes(key), bytes("0"), bytes(sequence)));
    for (String field : fields) {
      hash.add(bytes(field));
    }
    List<List<byte[]>> one = List.of(hash);
    List<?> told = (List<?>) jedis.evalsha(bytes(sha), HashScript.keys(one), HashScript.arguments(one, bytes(ttl)));
    if (told.get(0) instanceof JedisDataException) {
      throw (JedisDataException) told.get(0);
    }
  }

  private static byte[] bytes(String s) {
    return s.getBytes(StandardCharsets.UTF_8);
  }
}
