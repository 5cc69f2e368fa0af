/* Checks that bytes are text, before a parser sees them. */
#ifndef DIO_TEXT_BYTES_H
#define DIO_TEXT_BYTES_H

#include "base/context.h"

struct dio_text_rules {
    const char *file, *part, *code;
    bool refuse_controls; /* below 0x20 but tab, CR, LF; 0x7f; C1 */
};

/* UTF-8 without NUL.  A byte-order mark is passed over: *start is 3 then, else 0.  UTF-16 is named as such.  Refuses with
 * line and column (in characters). */
dio_status dio_check_text(struct dio_ctx *ctx, const struct dio_text_rules *rules, const void *bytes, size_t length, size_t *start);

#endif
