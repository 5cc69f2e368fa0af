#include "base/status.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/context.h"
#include "base/str.h"

enum { NAME_LIMIT = 200 };

static void copy_escaped(char *out, size_t out_size, const char *text, size_t limit)
{
    if (text) dio_escape(out, out_size, text, strlen(text), limit);
}

static void fill(struct dio_message *message, enum dio_level level, dio_status status, const char *code,
                 const struct dio_place *place, const char *format, va_list arguments)
{
    char text[2048];
    memset(message, 0, sizeof *message);
    message->level = level;
    message->status = status;
    copy_escaped(message->code, sizeof message->code, code, 0);
    if (place) {
        copy_escaped(message->file, sizeof message->file, place->file, 0);
        copy_escaped(message->part, sizeof message->part, place->part, 0);
        copy_escaped(message->tensor, sizeof message->tensor, place->tensor, NAME_LIMIT);
        copy_escaped(message->hint, sizeof message->hint, place->hint, 0);
        message->offset = place->offset;
        message->line = place->line;
        message->column = place->column;
    }
    if (dio_vformat(text, sizeof text, format, arguments) < 0) text[0] = '\0';
    copy_escaped(message->text, sizeof message->text, text, 0);
}

dio_status dio_fail(struct dio_ctx *ctx, dio_status status, const char *code, const struct dio_place *place,
                    const char *format, ...)
{
    if (ctx->error.status != DIO_OK) return status;
    va_list arguments;
    va_start(arguments, format);
    fill(&ctx->error, DIO_LEVEL_ERROR, status, code, place, format, arguments);
    va_end(arguments);
    return status;
}

void dio_errno_text(int error_number, char *out, size_t out_size)
{
    if (out_size == 0) return;
#if defined(__GLIBC__) && (__GLIBC__ > 2 || __GLIBC_MINOR__ >= 32)
    const char *text = strerrordesc_np(error_number);
#else
    const char *text = strerror(error_number);
#endif
    snprintf(out, out_size, "%s", text ? text : "unknown error");
    if (out[0] >= 'A' && out[0] <= 'Z' && !(out[1] >= 'A' && out[1] <= 'Z')) out[0] = (char)(out[0] - 'A' + 'a');
}

dio_status dio_fail_errno(struct dio_ctx *ctx, const char *file, const char *call, int error_number)
{
    char text[128];
    dio_errno_text(error_number, text, sizeof text);
    struct dio_place place = {.file = file};
    if (error_number == EMFILE || error_number == ENFILE) return dio_fail(ctx, DIO_ERR_ENV, "E17", &place, "%s", text);
    if (strcmp(call, "open") == 0) return dio_fail(ctx, DIO_ERR_ENV, "E7", &place, "%s", text);
    return dio_fail(ctx, DIO_ERR_ENV, "E2", &place, "%s on %s", text, call);
}

void dio_say(struct dio_ctx *ctx, enum dio_level level, const char *code, const struct dio_place *place,
             const char *format, ...)
{
    if (!ctx->on_message) return;
    struct dio_message message;
    va_list arguments;
    va_start(arguments, format);
    fill(&message, level, DIO_OK, code, place, format, arguments);
    va_end(arguments);
    dio_emit_message(ctx, &message);
}

/* Appends to a buffer that may be too small, as snprintf does. */
struct tail {
    char *out;
    size_t size, length;
};

static void put_bytes(struct tail *tail, const char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++, tail->length++) {
        if (tail->length + 1 < tail->size) tail->out[tail->length] = bytes[i];
    }
}

static void put(struct tail *tail, const char *text)
{
    put_bytes(tail, text, strlen(text));
}

static void put_number(struct tail *tail, uint64_t number)
{
    char digits[24];
    snprintf(digits, sizeof digits, "%" PRIu64, number);
    put(tail, digits);
}

static size_t finish(struct tail *tail)
{
    if (tail->size > 0) tail->out[tail->length < tail->size ? tail->length : tail->size - 1] = '\0';
    return tail->length;
}

static void put_line(struct tail *tail, const struct dio_message *message)
{
    put(tail, "line ");
    put_number(tail, message->line);
    if (message->column > 0) {
        put(tail, " column ");
        put_number(tail, message->column);
    }
}

/* What stands between "FILE: " and the hint. */
static void put_body(struct tail *tail, const struct dio_message *message)
{
    if (message->part[0]) {
        put(tail, message->part);
        put(tail, ": ");
    }
    if (message->line > 0) {
        put_line(tail, message);
        put(tail, ": ");
    }
    put(tail, message->text);
    if (message->offset > 0) {
        put(tail, " (offset ");
        put_number(tail, message->offset - 1);
        put(tail, ")");
    }
}

size_t dio_message_format(const struct dio_message *message, char *out, size_t out_size)
{
    struct tail tail = {out, out_size, 0};
    if (message->file[0]) {
        put(&tail, message->file);
        put(&tail, ": ");
    }
    if (message->level == DIO_LEVEL_WARNING) put(&tail, "warning: ");
    if (message->level == DIO_LEVEL_NOTE) put(&tail, "note: ");
    put_body(&tail, message);
    if (message->hint[0]) {
        put(&tail, "; ");
        put(&tail, message->hint);
    }
    return finish(&tail);
}

/* The texts are escaped for a terminal already: only the quote and the backslash are left to escape. */
static void put_json_text(struct tail *tail, const char *text)
{
    if (!text[0]) {
        put(tail, "null");
        return;
    }
    put(tail, "\"");
    for (; *text; text++) {
        if (*text == '"' || *text == '\\') put(tail, "\\");
        put_bytes(tail, text, 1);
    }
    put(tail, "\"");
}

static void put_json_number(struct tail *tail, bool known, uint64_t number)
{
    if (known) {
        put_number(tail, number);
    } else {
        put(tail, "null");
    }
}

size_t dio_message_json(const struct dio_message *message, char *out, size_t out_size)
{
    static const char *const levels[] = {"note", "warning", "error"};
    struct tail tail = {out, out_size, 0};
    char text[sizeof message->part + sizeof message->text + 2];
    snprintf(text, sizeof text, "%s%s%s", message->part, message->part[0] ? ": " : "", message->text);
    put(&tail, "{\"level\":");
    put_json_text(&tail, levels[message->level]);
    put(&tail, ",\"code\":");
    put_json_text(&tail, message->code);
    put(&tail, ",\"exit\":");
    /* Of a cancelled run the signal decides. */
    put_json_number(&tail, message->status != DIO_OK && message->status != DIO_CANCELLED, (uint64_t)message->status);
    put(&tail, ",\"file\":");
    put_json_text(&tail, message->file);
    put(&tail, ",\"tensor\":");
    put_json_text(&tail, message->tensor);
    put(&tail, ",\"offset\":");
    put_json_number(&tail, message->offset > 0, message->offset - 1);
    put(&tail, ",\"line\":");
    put_json_number(&tail, message->line > 0, message->line);
    put(&tail, ",\"message\":");
    put_json_text(&tail, text);
    put(&tail, ",\"hint\":");
    put_json_text(&tail, message->hint);
    put(&tail, "}");
    return finish(&tail);
}
