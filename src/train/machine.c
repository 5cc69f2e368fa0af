/* What a recipe may say of the machine: whose kernels compute, and what input may ask for. */
#include <string.h>

#include "kernels/kernels.h"
#include "train/run.h"

static enum dio_linear linear_of(const char *name)
{
    return strcmp(name, "own") == 0 ? DIO_LINEAR_OWN : strcmp(name, "blas") == 0 ? DIO_LINEAR_BLAS : DIO_LINEAR_AUTO;
}

dio_status dio_run_choose_machine(struct dio_run *run)
{
    struct dio_ctx *ctx = run->ctx;
    const struct dio_train_options *options = run->options;
    ctx->limits = dio_train_limits(options, ctx->limits);
    if ((!options->cpu && !options->linear) || !ctx->kernels) return DIO_OK;
    enum dio_isa level = ctx->kernels->level;
    if (options->cpu) {
        DIO_PASS(dio_recipe_blame(ctx, options, dio_kernels_ceiling_parse(ctx, "--cpu", options->cpu, &level), "cpu"));
    }
    dio_kernels_select(&ctx->cpu, level, &run->kernels);
    dio_status status = dio_kernels_linear(ctx, &run->kernels, options->linear ? linear_of(options->linear) : ctx->kernels->linear);
    if (status != DIO_OK) {
        dio_kernels_close(&run->kernels);
        return dio_recipe_blame(ctx, options, status, "linear");
    }
    run->usual_kernels = ctx->kernels;
    ctx->kernels = &run->kernels;
    return DIO_OK;
}

void dio_run_release_machine(struct dio_run *run)
{
    if (!run->usual_kernels) return;
    run->ctx->kernels = run->usual_kernels;
    run->usual_kernels = NULL;
    dio_kernels_close(&run->kernels);
}
