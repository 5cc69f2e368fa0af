#include "format/format.h"

#include "base/str.h"

#include <string.h>
#include <sys/stat.h>

#define DIO_ENTRY(name) extern const struct dio_format dio_format_##name;
#include "format/list.def"
#undef DIO_ENTRY

#define DIO_ENTRY(name) &dio_format_##name,
static const struct dio_format *const formats[] = {
#include "format/list.def"
};
#undef DIO_ENTRY

const struct dio_format *dio_format_find(const char *name)
{
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        if (strcmp(formats[i]->name, name) == 0) return formats[i];
    }
    return NULL;
}

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), end_length = strlen(end);
    return length >= end_length && strcmp(text + length - end_length, end) == 0;
}

/* Row A9: standard output, a device or a FIFO, whose name says nothing of a form. */
static bool is_stream(const char *path)
{
    struct stat st;
    return strcmp(path, "-") == 0 || (stat(path, &st) == 0 && (S_ISCHR(st.st_mode) || S_ISFIFO(st.st_mode)));
}

const struct dio_format *dio_format_for_path(const char *path)
{
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        if (formats[i]->write && formats[i]->extension && ends_with(path, formats[i]->extension)) return formats[i];
    }
    if (ends_with(path, ".pt") || ends_with(path, ".th")) return dio_format_find("torch");
    if (is_stream(path)) return dio_format_find("safetensors");
    return NULL;
}

/* Row P1: what a file that is no model looks like. */
static dio_status fail_unknown(struct dio_ctx *ctx, const char *path, const unsigned char *bytes, size_t size)
{
    static const char lfs[] = "version https://git-lfs.github.com/spec/";
    struct dio_place place = {.file = path};
    size_t at = 0, stop = size < 512 ? size : 512;
    if (size == 0) return dio_fail(ctx, DIO_ERR_INPUT, "P1", &place, "empty file");
    if (size >= sizeof lfs - 1 && memcmp(bytes, lfs, sizeof lfs - 1) == 0) {
        place.hint = "fetch the real file";
        return dio_fail(ctx, DIO_ERR_INPUT, "P1", &place, "this is a Git LFS pointer, not the model");
    }
    if (size > 262 && memcmp(bytes + 257, "ustar", 5) == 0) {
        place.hint = "if it is a checkpoint of a PyTorch before 0.2, load it there and save it again";
        return dio_fail(ctx, DIO_ERR_INPUT, "P10", &place, "this is a tar archive, not a file of weights");
    }
    while (at < stop && strchr(" \t\r\n", bytes[at]) && bytes[at]) at++;
    if (stop - at > 5 && bytes[at] == '<') {
        place.hint = "the download gave an error page or a login page; fetch the file itself";
        return dio_fail(ctx, DIO_ERR_INPUT, "P1", &place, "this is a web page (HTML or XML), not a model");
    }
    for (at = 0; at < stop && (bytes[at] >= 0x20 || strchr("\t\r\n", bytes[at])) && bytes[at] && bytes[at] != 0x7f;) at++;
    if (at == stop) return dio_fail(ctx, DIO_ERR_INPUT, "P1", &place, "this is a text file, not a model");
    return dio_fail(ctx, DIO_ERR_INPUT, "P1", &place, "not a file of weights that is known here (safetensors, .pth)");
}

/* By content.  A name decides only whose words a file is refused in that looks like nothing at all. */
static const struct dio_format *recognise(const char *path, const unsigned char *bytes, size_t size)
{
    const struct dio_format *maybe = NULL;
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        if (!formats[i]->probe) continue;
        enum dio_probe answer = formats[i]->probe(bytes, size);
        if (answer == DIO_PROBE_YES) return formats[i];
        if (answer == DIO_PROBE_MAYBE && !maybe) maybe = formats[i];
    }
    if (maybe) return maybe;
    const struct dio_format *named = dio_format_find("safetensors");
    bool text = size > 0 && (bytes[0] == '<' || bytes[0] == 'v');
    return ends_with(path, ".safetensors") && !text ? named : NULL;
}

dio_status dio_format_blob(struct dio_ctx *ctx, const char *path, struct dio_blob *blob)
{
    /* Below this, a copy costs little and cannot change under us. */
    enum { MAP_FROM = 4 << 20 };
    DIO_PASS(dio_blob_read(ctx, path, DIO_READ_MAP, 0, NULL, blob));
    if (!blob->mapped || blob->size >= MAP_FROM) return DIO_OK;
    struct dio_blob copy;
    dio_status status = dio_blob_pread(ctx, path, blob->fd, 0, blob->size, &copy);
    dio_blob_free(ctx, blob);
    *blob = copy;
    return status;
}

static dio_status read_file(struct dio_ctx *ctx, const char *path, const struct dio_read_options *options,
                            struct dio_weights *out)
{
    struct dio_blob blob = {.fd = -1};
    dio_status status = dio_format_blob(ctx, path, &blob);
    DIO_PASS(status);
    const struct dio_format *format = recognise(path, blob.data, blob.size);
    if (format) {
        out->format = format->name;
        status = format->read(ctx, path, &blob, options, out);
    } else {
        status = fail_unknown(ctx, path, blob.data, blob.size);
    }
    if (blob.data) dio_blob_free(ctx, &blob);
    return status;
}

static dio_status read_folder(struct dio_ctx *ctx, const char *path, const struct dio_read_options *options,
                              struct dio_weights *out)
{
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        if (!formats[i]->probe_folder || !formats[i]->probe_folder(ctx, path)) continue;
        out->format = formats[i]->name;
        return formats[i]->read(ctx, path, NULL, options, out);
    }
    if (ctx->error.status != DIO_OK) return ctx->error.status;
    char *recipe = dio_path_join(ctx, path, "recipe.yaml"), *checkpoints = dio_path_join(ctx, path, "checkpoints");
    bool run = recipe && checkpoints && dio_path_is_file(recipe) && dio_path_is_folder(checkpoints);
    dio_free(ctx, recipe);
    dio_free(ctx, checkpoints);
    if (run) {
        char hint[256], shown[200];
        dio_escape(shown, sizeof shown, path, strlen(path), 180);
        (void)snprintf(hint, sizeof hint, "go on with it: diopter train --resume %s", shown);
        struct dio_place place = {.file = path, .hint = hint};
        return dio_fail(ctx, DIO_ERR_INPUT, "J8", &place, "a run that has not come to its end, and has no model yet");
    }
    return dio_fail(ctx, DIO_ERR_INPUT, "J8", &(struct dio_place){.file = path},
                    "no weights in this folder: model.safetensors, its index, or pytorch_model.bin is looked for");
}

dio_status dio_weights_read(struct dio_ctx *ctx, const char *path, const struct dio_read_options *options,
                            struct dio_weights *out)
{
    static const struct dio_read_options none;
    dio_status status;
    if (!options) options = &none;
    dio_weights_init(out, ctx);
    out->path = dio_arena_strndup(&out->arena, path, strlen(path));
    if (!out->path) {
        status = DIO_ERR_ENV;
        goto fail;
    }
    DIO_TRY(dio_path_is_folder(path) ? read_folder(ctx, path, options, out) : read_file(ctx, path, options, out));
    return DIO_OK;
fail:
    dio_weights_free(ctx, out);
    return status;
}

dio_status dio_weights_write(struct dio_ctx *ctx, const char *path, const struct dio_save *save)
{
    const struct dio_format *format = dio_format_for_path(path);
    if (!format) {
        return dio_fail(ctx, DIO_ERR_USAGE, NULL, &(struct dio_place){.file = path},
                        "the name of a file of weights ends in .safetensors, .pth or .pt");
    }
    return format->write(ctx, path, save);
}
