/* core/plan/bind_collect.c - ARRAY_AGG and COLLECT: LISTAGG of items as bytes, taken apart again behind the aggregation; aggregates of libraries.
 *
 * So they are in place order, take DISTINCT and FILTER, merge and are kept as LISTAGG is, whatever window they stand over.
 */
#include "core/plan/bind.h"

struct expr *collect_pack(struct planner *p, struct expr *arg, const struct ast_expr *x,
                          struct agg_spec *spec)
{
    const bool nulls = spec->kind == AGG_ARRAY && !x->ignore_nulls;
    struct expr *packed;

    if (arg->type.kind == MILL_NULL)
        plan_fail(p, x->args[0]->at, MILL_E_TYPE,
                  "%s of NULL needs a type: write CAST(NULL AS type)",
                  x->name.parts[x->name.count - 1]);
    packed = need(p, expr_call(&p->session, nulls ? "$PACK" : "$PACK_VALUE", &arg, 1, place(x->at),
                               p->error));
    spec->unordered = spec->kind == AGG_COLLECT;
    spec->kind = AGG_LISTAGG;
    spec->separator = "";
    spec->arg_type = packed->type;
    spec->result_type = packed->type;
    spec->result_type.not_null = false;
    return packed;
}

struct expr *collect_unpack(struct planner *p, enum agg_kind kind, const struct mill_type *item,
                            struct expr *packed, struct ast_at at)
{
    struct expr *args[2] = {packed, expr_null(&p->session, item, place(at))};

    return need(p, expr_call(&p->session, kind == AGG_ARRAY ? "$ARRAY" : "$MULTISET", args, 2,
                             place(at), p->error));
}

/* ---- aggregates of libraries ---- */

const struct mill_function *user_aggregate(const struct planner *p, const struct ast_expr *x)
{
    const struct user_function *user;

    if (x->kind != AST_CALL || x->star)
        return NULL;
    user = catalog_function(p->catalog, x->name.parts[x->name.count - 1]);
    return user != NULL && user->function != NULL && user->function->kind == MILL_AGGREGATE
               ? user->function
               : NULL;
}

struct expr *user_arguments(struct planner *p, struct relation *r, const struct ast_expr *x,
                            const struct mill_function *function, struct agg_spec *spec)
{
    struct expr **args = arena_array(p->arena, struct expr *, x->arg_count + 1), *row;

    if (x->arg_count != function->arg_count)
        plan_fail(p, x->at, MILL_E_TYPE, "%s got %u arguments, it takes %u", function->name,
                  x->arg_count, function->arg_count);
    if (x->distinct)
        plan_fail(p, x->at, MILL_E_UNSUPPORTED,
                  "DISTINCT is not supported for %s, a function of a library: SELECT DISTINCT in a "
                  "sub-query",
                  function->name);
    for (uint32_t i = 0; i < x->arg_count; i++) {
        if (has_aggregate(p, x->args[i]))
            plan_fail(p, x->args[i]->at, MILL_E_TYPE,
                      "an aggregate cannot stand inside an aggregate");
        args[i] = expr_fold(&p->session,
                            need(p, expr_coerce(&p->session, bind_expr(p, r, NULL, x->args[i]),
                                                &function->arg_types[i], p->error)));
    }
    row = need(p, expr_row(&p->session, args, x->arg_count, place(x->at), p->error));
    spec->kind = AGG_USER;
    spec->user = function;
    spec->arg_type = row->type;
    spec->result_type = function->result_type;
    spec->result_type.not_null = false;
    return row;
}
