/* Row A7: which files a model was read from, so that no output ever takes their place. */
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/str.h"
#include "format/load.h"

/* Read beside weights, or written there by the run that they come from. */
static const char *const companions[] = {"config.json", "preprocessor_config.json", "model.safetensors.index.json", "recipe.yaml",
                                         "metrics.jsonl", "freeze.txt", "log.txt", "report.html", "checkpoints", "cache"};

static dio_status refuse(struct dio_ctx *ctx, const char *output, const char *file)
{
    char shown[420];
    dio_escape(shown, sizeof shown, file, strlen(file), 200);
    return dio_fail(ctx, DIO_ERR_USAGE, "A7", &(struct dio_place){.file = output}, "output and input are the same file (%s)", shown);
}

/* Other files in the folder, predictions say, are the user's own. */
static dio_status check_companions(struct dio_ctx *ctx, const char *source, const char *output)
{
    char *folder = dio_path_parent(ctx, source);
    if (!folder) return DIO_ERR_ENV;
    dio_status status = dio_same_file(folder, output) ? refuse(ctx, output, folder) : DIO_OK;
    for (size_t i = 0; i < sizeof companions / sizeof *companions && status == DIO_OK; i++) {
        char *path = dio_path_join(ctx, folder, companions[i]);
        if (!path) status = DIO_ERR_ENV;
        else if (dio_same_file(path, output)) status = refuse(ctx, output, path);
        dio_free(ctx, path);
    }
    dio_free(ctx, folder);
    return status;
}

dio_status dio_loaded_check_output(struct dio_ctx *ctx, const struct dio_loaded *loaded, const char *output)
{
    if (strcmp(output, "-") == 0) return DIO_OK; /* standard output */
    if (loaded->classes_file && dio_same_file(loaded->classes_file, output)) return refuse(ctx, output, loaded->classes_file);
    if (loaded->folder && dio_same_file(loaded->folder, output)) return refuse(ctx, output, loaded->folder);
    for (size_t i = 0; loaded->has_weights && i < loaded->weights.source_count; i++) {
        const char *source = loaded->weights.sources[i];
        if (dio_same_file(source, output)) return refuse(ctx, output, source);
        DIO_PASS(check_companions(ctx, source, output));
    }
    return DIO_OK;
}
