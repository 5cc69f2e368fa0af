#include "format/place.h"

#include <stdio.h>

#include "base/str.h"

dio_status dio_fail_tensor(struct dio_ctx *ctx, const char *code, const char *file, const char *name, size_t name_length,
                           uint64_t offset, const char *format, ...)
{
    char escaped[208], part[224], text[512];
    dio_escape(escaped, sizeof escaped, name, name_length, 200);
    snprintf(part, sizeof part, "tensor %s", escaped);
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    struct dio_place place = {.file = file, .part = part, .tensor = escaped, .offset = offset};
    return dio_fail(ctx, DIO_ERR_INPUT, code, &place, "%s", text);
}
