/* A folder with weights in it: model.safetensors, shards under an index, or pytorch_model.bin. */
#include <string.h>

#include "base/str.h"
#include "format/format.h"
#include "format/metadata.h"
#include "format/place.h"
#include "format/safetensors.h"
#include "text/json.h"

enum { MAX_INDEX = 64 << 20 };
static const char *const candidates[] = {"model.safetensors", "model.safetensors.index.json", "pytorch_model.bin"};
enum { WHOLE, SHARDED, TORCH, CANDIDATES };

static bool has(struct dio_ctx *ctx, const char *folder, const char *name)
{
    char *path = dio_path_join(ctx, folder, name);
    bool found = path && dio_path_is_file(path);
    dio_free(ctx, path);
    return found;
}

static bool probe_folder(struct dio_ctx *ctx, const char *path)
{
    for (int i = 0; i < CANDIDATES; i++) {
        if (has(ctx, path, candidates[i])) return true;
    }
    return false;
}

static dio_status read_whole(struct dio_ctx *ctx, const char *path, const struct dio_format *format,
                             const struct dio_read_options *options, struct dio_weights *out)
{
    struct dio_blob blob = {.fd = -1};
    dio_status status = dio_format_blob(ctx, path, &blob);
    if (status == DIO_OK && format->probe(blob.data, blob.size) == DIO_PROBE_NO && strcmp(format->name, "torch") == 0) {
        status = dio_fail(ctx, DIO_ERR_INPUT, "P10", &(struct dio_place){.file = path}, "not a PyTorch file");
    }
    if (status == DIO_OK) status = format->read(ctx, path, &blob, options, out);
    if (blob.data) dio_blob_free(ctx, &blob);
    return status;
}

/* ---- shards (row J10) ---- */

static bool stays_in_folder(const char *name)
{
    return *name && !strchr(name, '/') && !strchr(name, '\\') && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

static dio_status read_shard(struct dio_ctx *ctx, const char *folder, struct dio_tree *index, const struct dio_tree_node *node,
                             struct dio_weights *out)
{
    char shown[208];
    dio_escape(shown, sizeof shown, node->text, node->count, 200);
    if (!stays_in_folder(node->text)) return dio_tree_fail(index, node, "shard \"%s\" leaves the folder", shown);
    char *path = dio_path_join(ctx, folder, node->text);
    if (!path) return DIO_ERR_ENV;
    dio_status status;
    struct dio_blob blob = {.fd = -1};
    if (!dio_path_is_file(path)) {
        status = dio_tree_fail(index, node, "shard \"%s\" is missing", shown);
    } else {
        status = dio_format_blob(ctx, path, &blob);
    }
    if (status == DIO_OK) status = dio_safetensors_read(ctx, path, &blob, out);
    if (blob.data) dio_blob_free(ctx, &blob);
    dio_free(ctx, path);
    return status;
}

static bool is_read(const struct dio_weights *weights, const char *shard)
{
    for (size_t i = 0; i < weights->source_count; i++) {
        if (strcmp(dio_path_base(weights->sources[i]), shard) == 0) return true;
    }
    return false;
}

static dio_status read_map(struct dio_ctx *ctx, const char *folder, struct dio_tree *index, struct dio_weights *out)
{
    const struct dio_tree_node *map = NULL;
    DIO_PASS(dio_tree_map(index, index->root, "weight_map", &map, NULL));
    for (size_t i = 0; i < map->count; i++) {
        const struct dio_tree_node *node = &map->items[i];
        if (node->type != DIO_NODE_TEXT) return dio_tree_fail(index, node, "weight_map must map tensors to files");
        if (i > 0 && strcmp(node->text, map->items[i - 1].text) == 0) continue;
        if (is_read(out, node->text)) continue;
        size_t before = out->metadata_count;
        DIO_PASS(read_shard(ctx, folder, index, node, out));
        if (out->source_count > 1) out->metadata_count = before; /* each shard says the same: the first is believed */
    }
    for (size_t i = 0; i < map->count; i++) {
        const struct dio_tree_node *node = &map->items[i];
        const struct dio_weight *item = dio_weights_find(out, node->key);
        if (item && strcmp(dio_path_base(out->sources[item->source]), node->text) == 0) continue;
        char name[208], shard[208];
        dio_escape(name, sizeof name, node->key, strlen(node->key), 200);
        dio_escape(shard, sizeof shard, node->text, node->count, 200);
        return dio_tree_fail(index, node, "tensor %s is not in shard \"%s\"", name, shard);
    }
    return DIO_OK;
}

static dio_status read_shards(struct dio_ctx *ctx, const char *folder, const char *path, struct dio_weights *out)
{
    struct dio_tree index;
    DIO_PASS(dio_json_read(ctx, path, MAX_INDEX, "J10", &index));
    dio_status status = index.root->type == DIO_NODE_MAP ? read_map(ctx, folder, &index, out)
                                                         : dio_tree_fail(&index, index.root, "the top level is not an object");
    dio_tree_free(&index);
    if (status != DIO_OK) return status;
    out->detail = dio_arena_sprintf(&out->arena, "%zu shards", out->source_count);
    return out->detail ? DIO_OK : DIO_ERR_ENV;
}

/* A folder of another library's says what its weights are; our own weights say it themselves (row J1). */
static dio_status check_config(struct dio_ctx *ctx, const char *folder, const struct dio_weights *weights)
{
    if (has(ctx, folder, "config.json") || dio_weights_meta(weights, DIO_META_VERSION)) return DIO_OK;
    if (ctx->error.status != DIO_OK) return ctx->error.status;
    struct dio_place place = {.file = folder, .hint = "name the file of weights itself to do without"};
    return dio_fail(ctx, DIO_ERR_INPUT, "J1", &place, "no config.json in this folder");
}

static dio_status read(struct dio_ctx *ctx, const char *folder, struct dio_blob *blob, const struct dio_read_options *options,
                       struct dio_weights *out)
{
    int which = 0, others = 0;
    (void)blob;
    while (which < CANDIDATES && !has(ctx, folder, candidates[which])) which++;
    if (which == CANDIDATES) return ctx->error.status != DIO_OK ? ctx->error.status : DIO_ERR_INTERNAL;
    for (int i = which + 1; i < CANDIDATES; i++) others += has(ctx, folder, candidates[i]);
    char *path = dio_path_join(ctx, folder, candidates[which]);
    if (!path) return DIO_ERR_ENV;
    dio_status status = which == SHARDED ? read_shards(ctx, folder, path, out)
                                         : read_whole(ctx, path, dio_format_find(which == WHOLE ? "safetensors" : "torch"), options, out);
    dio_free(ctx, path);
    DIO_PASS(status);
    DIO_PASS(check_config(ctx, folder, out));
    if (others) {
        out->note_code = "J11";
        out->note = dio_arena_sprintf(&out->arena, "using %s", candidates[which]);
        return out->note ? DIO_OK : DIO_ERR_ENV;
    }
    return ctx->error.status;
}

const struct dio_format dio_format_huggingface = {
    .name = "huggingface",
    .about = "a folder with config.json and model.safetensors, its shards, or pytorch_model.bin",
    .probe_folder = probe_folder,
    .read = read,
};
