package millstream.bench;

import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;

import org.apache.flink.api.common.JobExecutionResult;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.table.api.EnvironmentSettings;
import org.apache.flink.table.api.TableEnvironment;
import org.apache.flink.table.api.TableResult;

/**
 * Runs a Flink SQL script in a local Flink of this process: parallelism, state on the heap, objects reused.
 *
 * <p>usage: FlinkPeer SCRIPT PARALLELISM RUNS CHECKPOINT_MS NAME=VALUE...  Each ${NAME} of the script is replaced. The last statement
 * is an INSERT. Per run a line "seconds S cpu C": what Flink gives as the job's net run time, and the CPU time of this process from
 * submission to the end. The caller drops the first as a warm-up. Statements are split at ';' ends of lines.
 */
public final class FlinkPeer {
    private FlinkPeer() {}

    private static double cpuSeconds() {
        return ((com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean())
                        .getProcessCpuTime()
                / 1e9;
    }

    private static void run(String script, int parallelism, long checkpointMs) throws Exception {
        final Configuration options = new Configuration();

        options.setString("parallelism.default", Integer.toString(parallelism));
        options.setString("taskmanager.numberOfTaskSlots", Integer.toString(parallelism));
        options.setString("pipeline.object-reuse", "true");
        options.setString("state.backend.type", "hashmap");
        options.setString("execution.runtime-mode", "streaming");
        options.setString("table.local-time-zone", "UTC");
        if (checkpointMs > 0)
            options.setString("execution.checkpointing.interval", checkpointMs + " ms");
        final TableEnvironment env =
                TableEnvironment.create(
                        EnvironmentSettings.newInstance().withConfiguration(options).build());

        for (String statement : script.split(";\\s*\\n")) {
            final String text = statement.replaceAll("(?m)^--.*$", "").trim();

            if (text.isEmpty())
                continue;
            final double before = cpuSeconds();
            final TableResult result = env.executeSql(text);

            if (!text.startsWith("INSERT"))
                continue;
            final JobExecutionResult end = result.getJobClient().get().getJobExecutionResult().get();

            System.out.printf(
                    "seconds %.3f cpu %.3f%n",
                    end.getNetRuntime(TimeUnit.MILLISECONDS) / 1e3, cpuSeconds() - before);
        }
    }

    public static void main(String[] args) throws Exception {
        String script = Files.readString(Path.of(args[0]));

        for (int i = 4; i < args.length; i++) {
            final int equals = args[i].indexOf('=');

            script = script.replace("${" + args[i].substring(0, equals) + "}", args[i].substring(equals + 1));
        }
        for (int i = 0; i < Integer.parseInt(args[2]); i++)
            run(script, Integer.parseInt(args[1]), Long.parseLong(args[3]));
        System.exit(0);
    }
}
