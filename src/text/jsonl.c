#include "text/jsonl.h"

#include <string.h>

void dio_jsonl_begin(struct dio_jsonl *lines, struct dio_ctx *ctx, const char *file, const void *bytes, size_t length)
{
    *lines = (struct dio_jsonl){.ctx = ctx, .file = file, .bytes = bytes, .length = length};
}

static bool is_blank(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (text[i] != ' ' && text[i] != '\t' && text[i] != '\r') return false;
    }
    return true;
}

dio_status dio_jsonl_next(struct dio_jsonl *lines, struct dio_tree *record)
{
    *record = (struct dio_tree){.root = NULL};
    while (lines->at < lines->length) {
        const char *start = lines->bytes + lines->at;
        const char *end = memchr(start, '\n', lines->length - lines->at);
        size_t length = end ? (size_t)(end - start) : lines->length - lines->at;
        lines->at += length + (end != NULL);
        lines->line++;
        if (is_blank(start, length)) continue;
        char part[32];
        snprintf(part, sizeof part, "record in line %u", (unsigned)lines->line);
        if (end) return dio_json_parse(lines->ctx, lines->file, part, "R1", start, length, record);
        /* Tried in a context of its own: the failure of an unfinished line is none. */
        struct dio_ctx trial = dio_ctx_child(lines->ctx);
        dio_status status = dio_json_parse(&trial, lines->file, part, "R1", start, length, record);
        if (status == DIO_OK) {
            record->arena.ctx = lines->ctx;
            return DIO_OK;
        }
        if (status == DIO_ERR_INPUT) return DIO_OK;
        dio_ctx_adopt_error(lines->ctx, &trial);
        return status;
    }
    return DIO_OK;
}
