/* What a model's inference plan is made of: which way each step goes, and where the memory is. */
#include <stdio.h>
#include <string.h>

#include "api/bench.h"
#include "api/private.h"
#include "predict/calibrate.h"

static dio_status make_plan(struct dio_ctx *ctx, const struct dio_model *m, struct dio_plan_options *options, struct dio_plan **plan)
{
    dio_status status = DIO_OK;
    struct dio_value_range *ranges = NULL;
    float *made_up = NULL;
    if (options->precision == DIO_PRECISION_INT8) { /* any ranges will do: no number is computed */
        made_up = api_bench_input(ctx, m, 1);
        if (!made_up) return DIO_ERR_ENV;
        DIO_TRY(dio_calibrate_pixels(ctx, m, made_up, 1, &ranges));
    }
    options->ranges = ranges;
    const int output = m->logits >= 0 ? m->logits : m->graph->outputs[0];
    DIO_TRY(dio_plan_infer(ctx, m->graph, m->graph->inputs, 1, &output, 1, options, plan));
fail:
    dio_free(ctx, ranges);
    dio_free(ctx, made_up);
    return status;
}

/* What follows the name of the path. */
static void describe_path(const struct dio_plan_step_info *info, int chain, char *out, size_t size)
{
    out[0] = 0;
    if (chain > 1) (void)snprintf(out, size, ", row by row with %d others", chain - 1);
    const size_t used = strlen(out);
    if (info->depth_first) (void)snprintf(out + used, size - used, ", image by image");
}

/* Length of the chain that a step is in. */
static int chain_of(const struct dio_plan_step_info *info, int *length)
{
    if (info->chain > 0) *length = info->chain;
    return *length;
}

static double megabytes(uint64_t bytes) { return (double)bytes / 1e6; }

static void write_text(struct dio_ctx *ctx, const struct dio_plan *plan, const struct dio_plan_options *options, struct dio_str *out)
{
    const struct dio_plan_memory memory = dio_plan_memory(plan);
    dio_str_addf(out, "\nplan           %s, CPU level %s, batch %lld, %d thread%s\n", dio_precision_name(options->precision), dio_isa_name(ctx->kernels->level),
                 (long long)options->batch, dio_team_size(ctx->team), dio_team_size(ctx->team) == 1 ? "" : "s");
    dio_str_addf(out, "memory         %.1f MB: weights %.1f, activations %.1f, scratch %.1f\n\n", megabytes(memory.total),
                 megabytes(memory.packed), megabytes(memory.activations), megabytes(memory.scratch));
    dio_str_addf(out, "%-34s %-16s %-5s %8s %9s  %s\n", "step", "op", "type", "MMACs", "packed KB", "path");
    int length = 1;
    for (int i = 0; i < dio_plan_steps(plan); i++) {
        struct dio_plan_step_info info;
        char more[80];
        dio_plan_step(plan, i, &info);
        describe_path(&info, chain_of(&info, &length), more, sizeof more);
        dio_str_addf(out, "%-34.34s %-16.16s %-5s %8.1f %9.0f  %s%s\n", info.name, info.op, dio_precision_name(info.precision), (double)info.macs / 1e6,
                     (double)info.packed_bytes / 1e3, info.path, info.path[0] || !more[0] ? more : more + 2);
    }
}

static void write_json(struct dio_ctx *ctx, const struct dio_plan *plan, const struct dio_plan_options *options, struct dio_str *out)
{
    const struct dio_plan_memory memory = dio_plan_memory(plan);
    struct dio_json_writer w;
    dio_json_begin(&w, out, 0);
    dio_json_map(&w, NULL);
    dio_json_text(&w, "precision", dio_precision_name(options->precision));
    dio_json_text(&w, "level", dio_isa_name(ctx->kernels->level));
    dio_json_i64(&w, "batch", options->batch);
    dio_json_i64(&w, "threads", dio_team_size(ctx->team));
    dio_json_map(&w, "memory");
    dio_json_i64(&w, "total", (int64_t)memory.total);
    dio_json_i64(&w, "weights", (int64_t)memory.packed);
    dio_json_i64(&w, "activations", (int64_t)memory.activations);
    dio_json_i64(&w, "scratch", (int64_t)memory.scratch);
    dio_json_end_map(&w);
    dio_json_list(&w, "steps");
    int length = 1;
    for (int i = 0; i < dio_plan_steps(plan); i++) {
        struct dio_plan_step_info info;
        dio_plan_step(plan, i, &info);
        dio_json_map(&w, NULL);
        dio_json_text(&w, "name", info.name);
        dio_json_text(&w, "op", info.op);
        dio_json_text(&w, "path", info.path);
        dio_json_text(&w, "fused", info.fused);
        dio_json_text(&w, "precision", dio_precision_name(info.precision));
        dio_json_i64(&w, "macs", info.macs);
        dio_json_i64(&w, "packed", (int64_t)info.packed_bytes);
        dio_json_i64(&w, "chain", chain_of(&info, &length));
        dio_json_bool(&w, "depth_first", info.depth_first);
        dio_json_end_map(&w);
    }
    dio_json_end_list(&w);
    dio_json_end_map(&w);
}

diopter_status diopter_model_plan(diopter_model *model, const diopter_options *options, bool json, char **text)
{
    struct dio_ctx *ctx = &model->context->ctx;
    diopter_options *made = NULL;
    struct dio_plan *plan = NULL;
    *text = NULL;
    api_begin(model->context, options);
    dio_status status = api_default_options(model->context, &options, &made);
    if (status != DIO_OK) return api_status(status);
    struct dio_plan_options how = {.batch = api_extra_whole(options, "batch_size", DIOPTER_FOR_INFO),
                                   .exact = api_extra_flag(options, "exact", DIOPTER_FOR_INFO),
                                   .precision = api_precision(options, DIOPTER_FOR_INFO)};
    status = dio_loaded_need_model(ctx, &model->loaded);
    if (status == DIO_OK) status = dio_loaded_check(ctx, &model->loaded);
    if (status == DIO_OK && how.precision == DIO_PRECISION_INT8) status = api_need_head(model); /* ranges come of whole runs */
    if (status == DIO_OK) status = make_plan(ctx, model->loaded.model, &how, &plan);
    if (status == DIO_OK) {
        struct dio_str out;
        dio_str_init(&out, ctx);
        (json ? write_json : write_text)(ctx, plan, &how, &out);
        *text = api_take_text(&out);
        if (!*text) status = DIO_ERR_ENV;
    }
    dio_plan_free(plan);
    diopter_options_destroy(made);
    return api_status(status);
}
