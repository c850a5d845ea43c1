/* core/push_text.h - rows of texts for memory tables. Threads: the pusher. Errors: MILL_E_DATA, those of mill_push(). */
#ifndef MILL_PUSH_TEXT_H
#define MILL_PUSH_TEXT_H

#include "core/types.h"

/* mill_push_text() with valid arguments. */
int push_text(struct mill_input *input, const char *const *values, uint32_t count,
              struct mill_error *error);

#endif
