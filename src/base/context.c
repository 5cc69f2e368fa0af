#include "base/context.h"

#include <string.h>

void dio_ctx_init(struct dio_ctx *ctx, struct dio_alloc_stats *stats)
{
    memset(ctx, 0, sizeof *ctx);
    ctx->limits = dio_limits_default();
    dio_cpu_detect(&ctx->cpu);
    ctx->alloc = stats;
}

struct dio_ctx dio_ctx_child(const struct dio_ctx *parent)
{
    struct dio_ctx child;
    memset(&child, 0, sizeof child);
    child.limits = parent->limits;
    child.cpu = parent->cpu;
    child.kernels = parent->kernels;
    child.alloc = parent->alloc;
    child.cancel = parent->cancel;
    child.on_message = parent->on_message;
    child.message_arg = parent->message_arg;
    child.on_progress = parent->on_progress;
    child.progress_arg = parent->progress_arg;
    return child;
}

void dio_ctx_adopt_error(struct dio_ctx *parent, const struct dio_ctx *child)
{
    if (parent->error.status == DIO_OK) parent->error = child->error;
}

void dio_ctx_clear_error(struct dio_ctx *ctx)
{
    memset(&ctx->error, 0, sizeof ctx->error);
}

void dio_report_progress(const struct dio_ctx *ctx, const struct dio_progress *progress)
{
    if (ctx->on_progress) ctx->on_progress(ctx->progress_arg, progress);
}

void dio_emit_message(const struct dio_ctx *ctx, const struct dio_message *message)
{
    if (ctx->on_message) ctx->on_message(ctx->message_arg, message);
}
