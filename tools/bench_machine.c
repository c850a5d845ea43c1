/* tools/bench_machine.c - what a figure was measured on: processor, memory, kernel, build, and how much of it the host took. */
#include "tools/bench.h"

#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "bench_build.h" /* made by make: BENCH_COMMIT, BENCH_FLAGS */

static void first_line(const char *path, char *to, size_t bytes)
{
    FILE *from = fopen(path, "re");

    to[0] = '\0';
    if (from != NULL && fgets(to, (int)bytes, from) != NULL)
        to[strcspn(to, "\n")] = '\0';
    if (from != NULL)
        fclose(from);
}

static void read_cpu(char *to, size_t bytes)
{
    FILE *from = fopen("/proc/cpuinfo", "re");
    char line[512];

    snprintf(to, bytes, "unknown");
    while (from != NULL && fgets(line, sizeof line, from) != NULL)
        if (strncmp(line, "model name", 10) == 0 && strchr(line, ':') != NULL) {
            line[strcspn(line, "\n")] = '\0';
            snprintf(to, bytes, "%s", strchr(line, ':') + 2);
            break;
        }
    if (from != NULL)
        fclose(from);
}

/* "L1d 48K, L1i 32K, L2 2048K, L3 ...": those of the first cpu */
static void read_caches(char *to, size_t bytes)
{
    size_t used = 0;

    to[0] = '\0';
    for (int i = 0; i < 8 && used < bytes; i++) {
        char path[120], level[16], type[32], size[32];

        snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu0/cache/index%d/level", i);
        first_line(path, level, sizeof level);
        snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu0/cache/index%d/type", i);
        first_line(path, type, sizeof type);
        snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu0/cache/index%d/size", i);
        first_line(path, size, sizeof size);
        if (level[0] == '\0' || size[0] == '\0')
            continue;
        used += (size_t)snprintf(to + used, bytes - used, "%sL%s%s %s", used > 0 ? ", " : "", level,
                                 strcmp(type, "Data") == 0          ? "d"
                                 : strcmp(type, "Instruction") == 0 ? "i"
                                                                    : "",
                                 size);
    }
}

void bench_machine_read(struct bench_machine *machine)
{
    const time_t now = time(NULL);
    struct utsname name;
    struct tm tm;

    *machine = (struct bench_machine){.cpus = (uint32_t)sysconf(_SC_NPROCESSORS_ONLN)};
    machine->memory_bytes = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    read_cpu(machine->cpu, sizeof machine->cpu);
    read_caches(machine->caches, sizeof machine->caches);
    if (uname(&name) == 0)
        snprintf(machine->kernel, sizeof machine->kernel, "%s %s", name.sysname, name.release);
    mill_build_info(machine->build, sizeof machine->build);
    for (char *at = machine->build; *at != '\0'; at++)
        if (*at == '\n')
            *at = at[1] != '\0' ? ';' : '\0';
    snprintf(machine->commit, sizeof machine->commit, "%s", BENCH_COMMIT);
    snprintf(machine->flags, sizeof machine->flags, "%s", BENCH_FLAGS);
    if (gmtime_r(&now, &tm) != NULL)
        strftime(machine->date, sizeof machine->date, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

void bench_ticks_read(struct bench_ticks *ticks)
{
    unsigned long long v[8] = {0};
    char line[256];

    first_line("/proc/stat", line, sizeof line);
    sscanf(line, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &v[0], &v[1], &v[2], &v[3], &v[4],
           &v[5], &v[6], &v[7]);
    *ticks = (struct bench_ticks){.stolen = v[7]};
    for (int i = 0; i < 8; i++)
        ticks->all += v[i];
    ticks->used = ticks->all - v[3] - v[4] - v[7];
}
