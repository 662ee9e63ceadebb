package io.keepline.redis;

import java.io.IOException;
import java.io.InputStream;
import java.io.Serializable;
import java.net.URI;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.util.HashMap;
import java.util.Map;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.TrustManagerFactory;
import redis.clients.jedis.Connection;
import redis.clients.jedis.DefaultJedisClientConfig;
import redis.clients.jedis.HostAndPort;
import redis.clients.jedis.Jedis;

/**
 * {@code redis://[user][:password]@host[:port][/db]}, or {@code rediss://} for TLS, with {@code ?ssl_ca_certs=FILE.pem} for an own authority and
 * {@code ?ssl_check_hostname=false}: the spelling of redis-py, so that one URL serves both languages. Never prints the password.
 */
final class RedisAddress implements Serializable {
  private static final long serialVersionUID = 1L;

  private final String host;
  private final int port;
  private final String user;
  private final String password;
  private final int database;
  private final boolean tls;
  private final boolean checkHost;
  private final String authority;

  RedisAddress(String url) {
    URI uri;
    try {
      uri = URI.create(url);
    } catch (IllegalArgumentException e) {
      throw refused("it is no URL"); // without the cause: its message repeats the password
    }
    if (!"redis".equals(uri.getScheme()) && !"rediss".equals(uri.getScheme()) || uri.getHost() == null) {
      throw refused("scheme or host is missing");
    }
    tls = "rediss".equals(uri.getScheme());
    host = uri.getHost();
    port = uri.getPort() < 0 ? 6379 : uri.getPort();
    String[] login = uri.getRawUserInfo() == null ? new String[] {"", ""} : (uri.getRawUserInfo() + ":").split(":", -1);
    user = login[0].isEmpty() ? null : decode(login[0]);
    password = login[1].isEmpty() ? null : decode(login[1]);
    String path = uri.getPath() == null ? "" : uri.getPath().replace("/", "");
    if (!path.matches("\\d{0,4}")) {
      throw refused("the database '" + path + "' is no number");
    }
    database = path.isEmpty() ? 0 : Integer.parseInt(path);
    Map<String, String> options = new HashMap<>();
    for (String option : uri.getRawQuery() == null ? new String[0] : uri.getRawQuery().split("&")) {
      String[] pair = (option + "=").split("=", -1);
      options.put(pair[0], decode(pair[1]));
    }
    authority = options.remove("ssl_ca_certs");
    checkHost = !"false".equalsIgnoreCase(options.remove("ssl_check_hostname"));
    if (!options.isEmpty()) {
      throw refused("unknown options " + options.keySet() + "; known are ssl_ca_certs and ssl_check_hostname");
    }
  }

  private static IllegalArgumentException refused(String why) {
    return new IllegalArgumentException("the Redis URL is not usable: " + why + "; expected redis[s]://[user:password@]host[:port][/db]");
  }

  private static String decode(String s) {
    return URLDecoder.decode(s.replace("+", "%2B"), StandardCharsets.UTF_8);
  }

  Jedis connect(int timeoutMs) throws IOException {
    DefaultJedisClientConfig.Builder config = DefaultJedisClientConfig.builder().user(user).password(password).database(database)
        .connectionTimeoutMillis(timeoutMs).socketTimeoutMillis(timeoutMs).clientName("keepline");
    if (tls) {
      SSLParameters parameters = new SSLParameters();
      if (checkHost) {
        parameters.setEndpointIdentificationAlgorithm("HTTPS");
      }
      config.ssl(true).sslParameters(parameters);
      if (authority != null) {
        config.sslSocketFactory(trusting(Path.of(authority)).getSocketFactory());
      }
    }
    return new Jedis(new Connection(new HostAndPort(host, port), config.build()));
  }

  private static SSLContext trusting(Path pem) throws IOException {
    try (InputStream in = Files.newInputStream(pem)) {
      KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
      store.load(null, null);
      int i = 0;
      for (Certificate certificate : CertificateFactory.getInstance("X.509").generateCertificates(in)) {
        store.setCertificateEntry("ca" + i++, certificate);
      }
      TrustManagerFactory trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
      trust.init(store);
      SSLContext context = SSLContext.getInstance("TLS");
      context.init(null, trust.getTrustManagers(), null);
      return context;
    } catch (GeneralSecurityException e) {
      throw new IOException("cannot read the certificates of " + pem, e);
    }
  }

  @Override
  public String toString() {
    return (tls ? "rediss://" : "redis://") + (password == null ? "" : "***@") + host + ":" + port + "/" + database;
  }
}
