/* core/config.c - defaults, validation, sizing. */
#include "core/config.h"

#define SHARDS_DEFAULT_MAX 16u
#define MEMORY_LIMIT_MIN ((uint64_t)1 << 20)

void mill_config_init(struct mill_config *config)
{
    if (config == NULL)
        return;
    *config = (struct mill_config){.struct_bytes = sizeof *config,
                                   .batch_rows = BATCH_ROWS_MAX,
                                   .step_bytes = STEP_BYTES,
                                   .step_rows = STEP_ROWS,
                                   .ring_slots = 64,
                                   .look_back = 8,
                                   .run_ahead = 64,
                                   .pin = true};
}

static int check_range(const char *name, uint64_t value, uint64_t least, uint64_t most,
                       struct mill_error *error)
{
    if (value >= least && value <= most)
        return MILL_OK;
    return mill_fail(error, MILL_E_ARGUMENT, 0, 0, "%s is %llu, need %llu to %llu", name,
                     (unsigned long long)value, (unsigned long long)least,
                     (unsigned long long)most);
}

static int check_all(const struct mill_config *c, struct mill_error *error)
{
    if (check_range("shard_count", c->shard_count, 1, SHARDS_MAX, error) != MILL_OK ||
        check_range("batch_rows", c->batch_rows, 1, BATCH_ROWS_MAX, error) != MILL_OK ||
        check_range("step_bytes", c->step_bytes, 64, 1u << 30, error) != MILL_OK ||
        check_range("step_rows", c->step_rows, 1, 1u << 24, error) != MILL_OK ||
        check_range("ring_slots", c->ring_slots, 1, 4096, error) != MILL_OK ||
        check_range("look_back", c->look_back, 1, 64, error) != MILL_OK ||
        check_range("run_ahead", c->run_ahead, c->look_back + 1, 1024, error) != MILL_OK ||
        check_range("memory_limit", c->memory_limit, MEMORY_LIMIT_MIN, UINT64_MAX, error) !=
            MILL_OK)
        return MILL_E_ARGUMENT;
    if ((c->ring_slots & (c->ring_slots - 1)) != 0)
        return mill_fail(error, MILL_E_ARGUMENT, 0, 0, "ring_slots is %u, need a power of two",
                         c->ring_slots);
    return MILL_OK;
}

/* "auto" is NULL. A forced io_uring that the machine refuses is an error, not a surprise. */
static int io_resolve(struct mill_config *to, const struct env *env, struct mill_error *error)
{
    struct env_queue about = {0};
    void *queue;

    if (to->io == NULL || to->io[0] == '\0' || strcmp(to->io, "auto") == 0) {
        to->io = NULL;
        return MILL_OK;
    }
    if (strcmp(to->io, "posix") == 0)
        return MILL_OK;
    if (strcmp(to->io, "uring") != 0)
        return mill_fail(error, MILL_E_OPTION, 0, 0, "MILL_IO is '%s', need uring, posix or auto",
                         to->io);
    queue =
        env->file.queue_open != NULL ? env->file.queue_open(env->self, 1, NULL, 0, &about) : NULL;
    if (queue == NULL)
        return mill_fail(error, MILL_E_OPTION, 0, 0,
                         "MILL_IO is 'uring', but io_uring cannot be used here: %s; MILL_IO=posix "
                         "reads without it",
                         about.why[0] != '\0' ? about.why : "this environment has none");
    env->file.queue_close(env->self, queue);
    return MILL_OK;
}

static int idle_check(const char *idle, struct mill_error *error)
{
    if (idle == NULL || strcmp(idle, "park") == 0 || strcmp(idle, "yield") == 0 ||
        strcmp(idle, "spin") == 0)
        return MILL_OK;
    return mill_fail(error, MILL_E_OPTION, 0, 0, "idle is '%s', need spin, yield or park", idle);
}

const struct env *config_env(const struct mill_config *config)
{
    const bool has = config != NULL && config->struct_bytes == sizeof *config;

    return has && config->env != NULL ? config->env : env_real();
}

int config_resolve(const struct mill_config *from, const struct env *env, struct mill_config *to,
                   struct mill_error *error)
{
    mill_config_init(to);
    if (from != NULL) {
        if (from->struct_bytes > sizeof *to || from->struct_bytes < 8)
            return mill_fail(error, MILL_E_ARGUMENT, 0, 0,
                             "mill_config.struct_bytes is %u, this library knows up to %zu: call "
                             "mill_config_init() first",
                             from->struct_bytes, sizeof *to);
        memcpy(to, from, from->struct_bytes);
        to->struct_bytes = sizeof *to;
    }
    to->env = env;
    if (to->shard_count == 0)
        to->shard_count = max_u32(1, min_u32(env->run.cpu_count(env->self), SHARDS_DEFAULT_MAX));
    if (to->memory_limit == 0)
        to->memory_limit = env->run.memory_bytes(env->self) / 10 * 8;
    if (to->isa == NULL)
        to->isa = env->run.variable(env->self, "MILL_ISA");
    if (to->io == NULL)
        to->io = env->run.variable(env->self, "MILL_IO");
    if (idle_check(to->idle, error) != MILL_OK || io_resolve(to, env, error) != MILL_OK)
        return error != NULL ? error->code : MILL_E_OPTION;
    if (to->roundtrip_seed == 0) {
        const char *seed = env->run.variable(env->self, "MILL_ROUNDTRIP");

        for (; seed != NULL && *seed >= '0' && *seed <= '9'; seed++)
            to->roundtrip_seed = to->roundtrip_seed * 10 + (uint64_t)(*seed - '0');
    }
    if (to->seed == 0)
        to->seed = 1;
    return check_all(to, error);
}
