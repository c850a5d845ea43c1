/* core/plan/bind_collect.c - ARRAY_AGG and COLLECT: LISTAGG of items as bytes, taken apart again behind the aggregation.
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
