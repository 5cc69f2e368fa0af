/* JSON lines: one object a line.  Writing: dio_json_writer with indent 0, a "\n", dio_stream_put. */
#ifndef DIO_TEXT_JSONL_H
#define DIO_TEXT_JSONL_H

#include "text/json.h"

struct dio_jsonl {
    struct dio_ctx *ctx;
    const char *file; /* borrowed */
    const char *bytes;
    size_t length, at;
    uint32_t line; /* of the record read last */
};

void dio_jsonl_begin(struct dio_jsonl *lines, struct dio_ctx *ctx, const char *file, const void *bytes, size_t length);
/* The next record; root NULL at the end.  Empty lines are passed over.  An unfinished last line (no line end) that does
 * not parse counts as the end: a process died while writing it.  Free each tree. */
dio_status dio_jsonl_next(struct dio_jsonl *lines, struct dio_tree *record);

#endif
