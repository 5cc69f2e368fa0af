/* model_convert MODEL OUT NAMES DTYPE [HEAD]: dio_model_export, after putting on a new head of HEAD classes when given; for
 * scripts that open the result elsewhere.  NAMES self: dio_model_save; free: nobody asked for
 * names. */
#include "format/load.h"
#include "format/save.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static dio_status convert(struct dio_ctx *ctx, int argc, char **argv, struct dio_loaded *loaded)
{
    struct dio_load_options options = dio_load_options_default();
    struct dio_export_options how = {.naming = DIO_NAMES_ORIGIN, .floats = DIO_F32};
    bool self = strcmp(argv[3], "self") == 0;
    how.free_naming = strcmp(argv[3], "free") == 0;
    if ((!self && !how.free_naming && !dio_naming_parse(argv[3], &how.naming)) || !dio_dtype_parse(argv[4], strlen(argv[4]), &how.floats)) return DIO_ERR_USAGE;
    DIO_PASS(dio_model_load(ctx, argv[1], &options, loaded));
    DIO_PASS(dio_loaded_need_model(ctx, loaded));
    dio_loaded_say(ctx, loaded);
    if (argc > 5) {
        DIO_PASS(dio_arch_new_head(loaded->model, atoll(argv[5]), 1));
        DIO_PASS(dio_model_set_classes(loaded->model, (const char *const[]){"ant \"a\"", "bee", "cat", "dog"}, 4));
    }
    if (self) return dio_model_save(ctx, loaded->model, argv[2]);
    return dio_model_export(ctx, loaded->model, argv[2], &how);
}

int main(int argc, char **argv)
{
    if (argc < 5) return 2;
    struct dio_alloc_stats stats = {0};
    struct dio_ctx ctx;
    dio_ctx_init(&ctx, &stats);
    struct dio_loaded loaded = {0};
    dio_status status = convert(&ctx, argc, argv, &loaded);
    if (status != DIO_OK) {
        char text[2048];
        dio_message_format(&ctx.error, text, sizeof text);
        fprintf(stderr, "model_convert: %s\n", text);
    }
    dio_loaded_free(&ctx, &loaded);
    return (int)status;
}
