#include "data/problems.h"

#include <stdio.h>

static void say(const struct dio_problems *problems, const struct dio_ctx *ctx, const struct dio_message *message)
{
    if (!ctx->on_message) return;
    struct dio_message copy = *message;
    copy.level = problems->level;
    if (copy.level != DIO_LEVEL_ERROR) copy.status = DIO_OK;
    ctx->on_message(ctx->message_arg, &copy);
}

void dio_problems_add(struct dio_problems *problems, const struct dio_ctx *ctx, const struct dio_message *message)
{
    if (problems->count++ == 0) {
        problems->first = *message;
        return;
    }
    if (!problems->first_said) {
        say(problems, ctx, &problems->first);
        problems->first_said = true;
    }
    if (problems->count <= DIO_PROBLEMS_SHOWN) say(problems, ctx, message);
}

bool dio_problems_take(struct dio_problems *problems, struct dio_ctx *ctx)
{
    if (ctx->error.status != DIO_ERR_INPUT) return false;
    dio_problems_add(problems, ctx, &ctx->error);
    dio_ctx_clear_error(ctx);
    return true;
}

void dio_problems_flush(struct dio_problems *problems, const struct dio_ctx *ctx, const char *file)
{
    if (problems->count && !problems->first_said) {
        say(problems, ctx, &problems->first);
        problems->first_said = true;
    }
    if (problems->count > DIO_PROBLEMS_SHOWN && ctx->on_message) {
        struct dio_message more = {.level = problems->level};
        snprintf(more.code, sizeof more.code, "%s", problems->first.code);
        snprintf(more.file, sizeof more.file, "%s", file ? file : "");
        snprintf(more.text, sizeof more.text, "and %llu more", (unsigned long long)(problems->count - DIO_PROBLEMS_SHOWN));
        ctx->on_message(ctx->message_arg, &more);
    }
}

dio_status dio_problems_end(struct dio_problems *problems, struct dio_ctx *ctx, const char *file, const char *code,
                            const char *what)
{
    if (problems->count == 0) return DIO_OK;
    if (problems->count == 1) {
        dio_status status = problems->first.status;
        if (ctx->error.status == DIO_OK) ctx->error = problems->first;
        return status;
    }
    dio_problems_flush(problems, ctx, file);
    struct dio_place place = {.file = file};
    unsigned long long n = problems->count;
    if (!problems->first.line) return dio_fail(ctx, DIO_ERR_INPUT, code, &place, "%llu %s", n, what);
    return dio_fail(ctx, DIO_ERR_INPUT, code, &place, "%llu %s, the first in line %u", n, what, problems->first.line);
}
