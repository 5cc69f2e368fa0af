/* Problems of one kind: up to ten are named, the rest is a count; a single one is the failure itself, on one line. */
#ifndef DIO_DATA_PROBLEMS_H
#define DIO_DATA_PROBLEMS_H

#include "base/context.h"

enum { DIO_PROBLEMS_SHOWN = 10 };

struct dio_problems {
    enum dio_level level;     /* of the lines, while they are not the failure */
    uint64_t count;
    struct dio_message first; /* held back until a second one comes, or the end */
    bool first_said;
};

void dio_problems_add(struct dio_problems *problems, const struct dio_ctx *ctx, const struct dio_message *message);
/* Takes the context's error as a problem and clears it.  False, and nothing done, when it is not about input. */
bool dio_problems_take(struct dio_problems *problems, struct dio_ctx *ctx);
/* Says what was held back, and "and N more". */
void dio_problems_flush(struct dio_problems *problems, const struct dio_ctx *ctx, const char *file);
/* No problem: DIO_OK.  One: it is the failure.  More: all lines are said, and the failure is the count with `what`
 * ("rows are wrong"). */
dio_status dio_problems_end(struct dio_problems *problems, struct dio_ctx *ctx, const char *file, const char *code,
                            const char *what);

#endif
