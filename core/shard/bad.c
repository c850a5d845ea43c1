/* core/shard/bad.c - what happens to rows that cannot be decoded or computed: fail, skip, dead letter. */
#include "core/shard/job.h"

#include <stdio.h>

static int fail_with(const struct bad_policy *policy, const struct bad_row *row,
                     struct mill_error *error)
{
    const char *hint =
        policy->node->kind != NODE_SOURCE ? ""
        : policy->node->source.guessed
            ? "; the columns are guessed: CREATE TABLE (info prints it) with other types, or with "
              "'on-error' = 'skip' or 'dead-letter' to go on without such rows"
            : "; set 'on-error' = 'skip' or 'dead-letter' to go on without such rows";
    const char *table = policy->node->kind == NODE_SOURCE ? policy->node->source.table : "VALUES";
    char line[32] = "";

    if (row->computed)
        return mill_fail(error, MILL_E_DATA, row->sql_line, row->sql_column,
                         "%s, in row %u of step %llu of table %s%s", row->reason, row->place,
                         (unsigned long long)row->step, table, hint);
    if (row->line != 0)
        snprintf(line, sizeof line, ", line %llu", (unsigned long long)row->line);
    return mill_fail(error, MILL_E_DATA, 0, 0, "%s, byte %llu%s%s%s: %s%s",
                     row->file != NULL ? row->file : table, (unsigned long long)row->offset, line,
                     row->column != NULL ? ", column " : "", row->column != NULL ? row->column : "",
                     row->reason, hint);
}

static int bad_report(struct bad_rows *self, const struct bad_row *row, struct mill_error *error)
{
    struct bad_policy *policy = (struct bad_policy *)self;
    struct bad_row named = *row;
    int code;

    if (policy->node->kind != NODE_SOURCE ||
        (policy->node->source.on_error == ON_ERROR_FAIL && !row->ignorable))
        return fail_with(policy, row, error);
    if (!row->computed)
        at_add_relaxed(&policy->dead, 1);
    if (policy->letters == NULL)
        return MILL_OK;
    named.source = policy->node->source.table;
    while (at_exchange_acquire(&policy->guard, 1) != 0) /* a rare path; held for one write */
        cpu_relax();
    code = policy->letters->report(policy->letters, &named, error);
    at_store_release(&policy->guard, 0);
    return code;
}

int bad_policy_open(struct job *job, struct bad_policy *policy, const struct phys_node *node,
                    struct mill_error *error)
{
    policy->rows.report = bad_report;
    policy->node = node;
    if (node->kind != NODE_SOURCE || node->source.on_error != ON_ERROR_DEAD)
        return MILL_OK;
    policy->letters = deadletter_open(job->env, &job->heap, node->source.dead_letter_path, error);
    return policy->letters != NULL ? MILL_OK : MILL_E_IO;
}

int bad_policy_close(struct job *job, struct bad_policy *policy, struct mill_error *error)
{
    struct bad_rows *letters = policy->letters;

    (void)job;
    policy->letters = NULL;
    return letters != NULL ? deadletter_close(letters, true, error) : MILL_OK;
}
