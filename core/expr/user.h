/* core/expr/user.h - functions of libraries (struct mill_function).
 *
 * Threads: one.   Errors: the run ends.   Includes: functions.h
 */
#ifndef MILL_USER_H
#define MILL_USER_H

#include "core/expr/functions.h"

/* The call of a table function (expr_user()) as an array of its rows. */
struct expr *expr_user_array(struct expr_session *s, struct expr *call);
/* The arrays of rows for the e->count rows of @args into the rows at hand of @out. */
void eval_table_function(struct eval *e, const struct expr *x, const struct mill_column *args,
                         struct column *out);

#endif
