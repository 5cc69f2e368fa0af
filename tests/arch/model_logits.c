/* model_logits MODEL INPUT OUTPUT N SIZE [PRECISION]: runs a model over N prepared pictures (raw f32, N x SIZE x SIZE x 3, channels
 * last) and writes its raw f32 logits.  For scripts that compare with PyTorch. */
#include "base/threads.h"
#include "format/load.h"
#include "infer.h"
#include "kernels/kernels.h"

#include <stdio.h>
#include <stdlib.h>

static int refuse(const struct dio_ctx *ctx)
{
    char text[2048];
    dio_message_format(&ctx->error, text, sizeof text);
    fprintf(stderr, "model_logits: %s\n", text);
    return (int)ctx->error.status;
}

int main(int argc, char **argv)
{
    enum dio_precision precision = DIO_PRECISION_F32;
    if (argc < 6 || (argc > 6 && !dio_precision_parse(argv[6], &precision))) return 2;
    struct dio_alloc_stats stats = {0};
    struct dio_ctx ctx;
    dio_ctx_init(&ctx, &stats);
    struct dio_kernels kernels;
    enum dio_isa ceiling;
    if (dio_kernels_ceiling_parse(&ctx, "DIOPTER_CPU", getenv("DIOPTER_CPU"), &ceiling) != DIO_OK) return refuse(&ctx);
    dio_kernels_select(&ctx.cpu, ceiling, &kernels);
    ctx.kernels = &kernels;
    int64_t n = atoll(argv[4]);
    struct dio_load_options options = dio_load_options_default();
    options.recipe.image_size = atoi(argv[5]);
    struct dio_loaded loaded;
    if (dio_model_load(&ctx, argv[1], &options, &loaded) != DIO_OK) return refuse(&ctx);
    if (dio_loaded_need_model(&ctx, &loaded) != DIO_OK) return refuse(&ctx);
    const struct dio_model *model = loaded.model;
    size_t in = (size_t)n * (size_t)model->recipe.height * (size_t)model->recipe.width * 3, width = (size_t)infer_width(model);
    float *pictures = malloc(in * sizeof *pictures), *out = malloc((size_t)n * width * sizeof *out);
    FILE *file = fopen(argv[2], "rb");
    if (!pictures || !out || !file || fread(pictures, sizeof *pictures, in, file) != in) return 4;
    fclose(file);
    if (dio_team_start(&ctx, 0, &ctx.team) != DIO_OK) return refuse(&ctx);
    if (infer_run(&ctx, model, pictures, n, precision, out) != DIO_OK) return refuse(&ctx);
    file = fopen(argv[3], "wb");
    if (!file || fwrite(out, sizeof *out, (size_t)n * width, file) != (size_t)n * width || fclose(file) != 0) return 4;
    dio_team_stop(&ctx, ctx.team);
    dio_loaded_free(&ctx, &loaded);
    free(pictures);
    free(out);
    return 0;
}
