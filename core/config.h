/* core/config.h - checking a configuration and filling in what depends on the machine.
 * Threads: pure.   Errors: MILL_E_ARGUMENT, MILL_E_OPTION.   Includes: env.h, error.h
 */
#ifndef MILL_CONFIG_H
#define MILL_CONFIG_H

#include "core/env.h"
#include "core/error.h"

/* The world of @config (NULL: the real one). */
const struct env *config_env(const struct mill_config *config);
/* Copies @from (NULL: defaults) to @to with every 0 that means "choose" replaced. */
int config_resolve(const struct mill_config *from, const struct env *env, struct mill_config *to,
                   struct mill_error *error);

#endif
