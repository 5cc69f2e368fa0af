/* Lists the weights of a file or folder, as `info` does for architectures that nobody knows: the robustness vectors run
 * it.  Exit code and messages are the command line's.
 *
 *   check_weights [--key NAME] [--allow-opaque] [--sums] [--write FILE] [--floats f32|f16|bf16] PATH
 *
 * --sums prints name, type, dims and a sum of the values of each tensor, for comparison with other readers; --write
 * saves what was read. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "format/load.h"

static void show(void *arg, const struct dio_message *message)
{
    char line[2600];
    (void)arg;
    dio_message_format(message, line, sizeof line);
    fprintf(stderr, "diopter: %s\n", line);
}

static dio_status print_sums(struct dio_ctx *ctx, const struct dio_weights *weights)
{
    for (size_t i = 0; i < weights->count; i++) {
        const struct dio_weight *item = &weights->items[i];
        char dims[400], name[4 * DIO_MAX_TENSOR_NAME];
        dio_dims_format(dims, sizeof dims, item->dims, item->rank);
        dio_escape(name, sizeof name, item->name, item->name_length, 0);
        if (!dio_dtype_is_weight(item->dtype)) {
            printf("%s\t%s\t%s\n", name, dio_dtype_name(item->dtype), dims);
            continue;
        }
        float *values = dio_alloc_array(ctx, (size_t)item->elements, sizeof *values, "values");
        if (!values) return DIO_ERR_ENV;
        dio_status status = dio_weight_to_f32(ctx, weights, item, values);
        double sum = 0, weighted = 0; /* the second one depends on the order */
        for (uint64_t e = 0; status == DIO_OK && e < item->elements; e++) {
            sum += (double)values[e];
            weighted += (double)values[e] * (double)(e % 1021);
        }
        dio_free(ctx, values);
        DIO_PASS(status);
        printf("%s\t%s\t%s\t%.17g\t%.17g\n", name, dio_dtype_name(item->dtype), dims, sum, weighted);
    }
    return DIO_OK;
}

static dio_status print_listing(struct dio_ctx *ctx, struct dio_loaded *loaded)
{
    const struct dio_weights *weights = &loaded->weights;
    if (weights->note) {
        dio_say(ctx, DIO_LEVEL_NOTE, weights->note_code, &(struct dio_place){.file = weights->path}, "%s", weights->note);
    }
    DIO_PASS(dio_loaded_scan(ctx, loaded));
    dio_loaded_say(ctx, loaded);
    for (size_t i = 0; i < weights->count; i++) {
        const struct dio_weight *item = &weights->items[i];
        char dims[400], name[208];
        dio_dims_format(dims, sizeof dims, item->dims, item->rank);
        dio_escape(name, sizeof name, item->name, item->name_length, 200);
        printf("%s  %s %s\n", name, dio_dtype_name(item->dtype), dims);
    }
    printf("%zu tensors\n", weights->count);
    return DIO_OK;
}

/* What a config.json beside the weights says. */
static dio_status print_config(struct dio_ctx *ctx, const char *path)
{
    struct dio_origin_config config;
    bool found;
    dio_status status = dio_read_config(ctx, path, &config, &found);
    if (status == DIO_OK && found) {
        printf("config: %s, %lld classes", config.architecture ? config.architecture : config.model_type, (long long)config.num_classes);
        for (size_t i = 0; i < config.label_count && i < 5; i++) {
            char label[64];
            dio_escape(label, sizeof label, config.labels[i], strlen(config.labels[i]), 50);
            printf("%s%s", i ? ", " : ": ", label);
        }
        printf("\n");
    }
    dio_origin_free(&config);
    return status;
}

static dio_status write_again(struct dio_ctx *ctx, const struct dio_weights *weights, const char *path, enum dio_dtype floats)
{
    struct dio_save save = {weights->items, weights->count, weights->metadata, weights->metadata_count, floats};
    return dio_weights_write(ctx, path, &save);
}

int main(int argc, char **argv)
{
    struct dio_alloc_stats stats = {0};
    struct dio_ctx ctx;
    struct dio_loaded loaded = {.has_weights = true};
    struct dio_read_options options = {0};
    const char *path = NULL, *write = NULL;
    enum dio_dtype floats = DIO_F32;
    bool sums = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--key") == 0 && i + 1 < argc) options.key = argv[++i];
        else if (strcmp(argv[i], "--write") == 0 && i + 1 < argc) write = argv[++i];
        else if (strcmp(argv[i], "--floats") == 0 && i + 1 < argc) {
            i++;
            floats = strcmp(argv[i], "f16") == 0 ? DIO_F16 : strcmp(argv[i], "bf16") == 0 ? DIO_BF16 : DIO_F32;
        } else if (strcmp(argv[i], "--allow-opaque") == 0) options.allow_opaque = true;
        else if (strcmp(argv[i], "--sums") == 0) sums = true;
        else path = argv[i];
    }
    if (!path) {
        fprintf(stderr, "usage: check_weights [--key NAME] [--allow-opaque] [--sums] [--write FILE] [--floats TYPE] PATH\n");
        return 2;
    }
    dio_ctx_init(&ctx, &stats);
    ctx.on_message = show;
    dio_status status = dio_weights_read(&ctx, path, &options, &loaded.weights);
    if (status == DIO_OK) {
        loaded.weights_path = dio_strdup(&ctx, path);
        if (!loaded.weights_path) status = DIO_ERR_ENV;
        else status = sums ? print_sums(&ctx, &loaded.weights) : print_listing(&ctx, &loaded);
        if (status == DIO_OK && !sums) status = print_config(&ctx, path);
        if (status == DIO_OK && write) status = write_again(&ctx, &loaded.weights, write, floats);
        dio_loaded_free(&ctx, &loaded);
    }
    if (status != DIO_OK) show(NULL, &ctx.error);
    if (atomic_load(&stats.live_blocks) != 0) {
        fprintf(stderr, "diopter: %" PRId64 " blocks left allocated\n", (int64_t)atomic_load(&stats.live_blocks));
        return 5;
    }
    return (int)status;
}
