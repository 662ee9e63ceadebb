import java.io.File;
import java.lang.reflect.Field;
import java.lang.reflect.Modifier;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.jar.JarFile;
import org.apache.flink.configuration.ConfigOption;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.FallbackKey;

/**
 * Reads lines {@code key=value} from the file named first, and prints a line for each that Flink does not know or does not take:
 * {@code java -cp 'lib/*' FlinkKeys.java SETTINGS}. What Flink knows are the options declared in classes {@code …Options} of its jars.
 */
public final class FlinkKeys {
  public static void main(String[] arguments) throws Exception {
    Map<String, ConfigOption<?>> known = new HashMap<>();
    for (String jar : System.getProperty("java.class.path").split(File.pathSeparator)) {
      if (!jar.endsWith(".jar")) {
        continue;
      }
      try (JarFile opened = new JarFile(jar)) {
        opened.stream().map(entry -> entry.getName())
            .filter(name -> name.startsWith("org/apache/flink/") && name.endsWith("Options.class"))
            .forEach(name -> collect(name, known));
      }
    }
    System.out.println("known " + known.size());
    for (String line : Files.readAllLines(Path.of(arguments[0]))) {
      int sign = line.indexOf('=');
      String key = line.substring(0, sign);
      String value = line.substring(sign + 1);
      ConfigOption<?> option = known.get(key);
      if (option == null) {
        System.out.println("unknown " + key);
        continue;
      }
      Configuration configuration = new Configuration();
      configuration.setString(key, value);
      try {
        configuration.get(option);
      } catch (Exception refused) {
        System.out.println("refused " + key + "=" + value + ": " + refused.getMessage());
      }
    }
  }

  private static void collect(String entry, Map<String, ConfigOption<?>> known) {
    try {
      Class<?> type = Class.forName(entry.replace('/', '.').substring(0, entry.length() - ".class".length()), true,
          FlinkKeys.class.getClassLoader());
      for (Field field : type.getDeclaredFields()) {
        if (Modifier.isStatic(field.getModifiers()) && ConfigOption.class.isAssignableFrom(field.getType())) {
          field.setAccessible(true);
          ConfigOption<?> option = (ConfigOption<?>) field.get(null);
          known.put(option.key(), option);
          for (FallbackKey old : option.fallbackKeys()) {
            known.put(old.getKey(), option);
          }
        }
      }
    } catch (Throwable notLoaded) { // a class whose optional dependency is absent declares nothing we use
      return;
    }
  }
}
