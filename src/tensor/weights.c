#include "tensor/weights.h"

#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "base/str.h"
#include "tensor/convert.h"

void dio_weights_init(struct dio_weights *weights, struct dio_ctx *ctx)
{
    memset(weights, 0, sizeof *weights);
    dio_arena_init(&weights->arena, ctx);
}

void dio_weights_free(struct dio_ctx *ctx, struct dio_weights *weights)
{
    for (size_t i = 0; i < weights->source_count; i++) dio_blob_free(ctx, &weights->blobs[i]);
    for (size_t i = 0; i < weights->block_count; i++) dio_free(ctx, weights->blocks[i]);
    dio_free(ctx, weights->blobs);
    dio_free(ctx, weights->blocks);
    dio_free(ctx, weights->sources);
    dio_free(ctx, weights->items);
    dio_free(ctx, weights->metadata);
    dio_free(ctx, weights->others);
    dio_free(ctx, weights->table);
    dio_arena_free(&weights->arena);
    memset(weights, 0, sizeof *weights);
}

#define GROW(array, capacity, count, what)                                                                             \
    dio_grow(ctx, (void **)&(array), &(capacity), (count) + 1, sizeof *(array), what)

dio_status dio_weights_add(struct dio_ctx *ctx, struct dio_weights *weights, const struct dio_weight *weight)
{
    DIO_PASS(GROW(weights->items, weights->capacity, weights->count, "the list of tensors"));
    char *name = dio_arena_strndup(&weights->arena, weight->name, weight->name_length);
    if (!name) return DIO_ERR_ENV;
    weights->items[weights->count] = *weight;
    weights->items[weights->count++].name = name;
    return DIO_OK;
}

dio_status dio_weights_add_metadata(struct dio_ctx *ctx, struct dio_weights *weights, const char *key, size_t key_length,
                                    const char *value, size_t value_length)
{
    DIO_PASS(GROW(weights->metadata, weights->metadata_capacity, weights->metadata_count, "metadata"));
    char *key_copy = dio_arena_strndup(&weights->arena, key, key_length);
    char *value_copy = key_copy ? dio_arena_strndup(&weights->arena, value, value_length) : NULL;
    if (!value_copy) return DIO_ERR_ENV;
    weights->metadata[weights->metadata_count++] = (struct dio_metadata){key_copy, value_copy, key_length, value_length};
    return DIO_OK;
}

dio_status dio_weights_add_other(struct dio_ctx *ctx, struct dio_weights *weights, const char *path, const char *type,
                                 const char *text)
{
    DIO_PASS(GROW(weights->others, weights->other_capacity, weights->other_count, "the list of values"));
    struct dio_other_value other = {dio_arena_strndup(&weights->arena, path, strlen(path)),
                                    dio_arena_strndup(&weights->arena, type, strlen(type)),
                                    dio_arena_strndup(&weights->arena, text, strlen(text))};
    if (!other.path || !other.type || !other.text) return DIO_ERR_ENV;
    weights->others[weights->other_count++] = other;
    return DIO_OK;
}

dio_status dio_weights_add_source(struct dio_ctx *ctx, struct dio_weights *weights, const char *path,
                                  struct dio_blob *blob, uint32_t *source)
{
    if (weights->source_count == UINT32_MAX) return dio_fail(ctx, DIO_ERR_INTERNAL, NULL, NULL, "too many files");
    DIO_PASS(GROW(weights->blobs, weights->blob_capacity, weights->source_count, "the list of files"));
    DIO_PASS(GROW(weights->sources, weights->source_capacity, weights->source_count, "the list of files"));
    const char *copy = dio_arena_strndup(&weights->arena, path, strlen(path));
    if (!copy) return DIO_ERR_ENV;
    *source = (uint32_t)weights->source_count;
    weights->sources[weights->source_count] = copy;
    weights->blobs[weights->source_count++] = *blob;
    *blob = (struct dio_blob){.fd = -1};
    return DIO_OK;
}

dio_status dio_weights_adopt(struct dio_ctx *ctx, struct dio_weights *weights, void *block)
{
    dio_status status = GROW(weights->blocks, weights->block_capacity, weights->block_count, "the list of blocks");
    if (status == DIO_OK) {
        weights->blocks[weights->block_count++] = block;
    } else {
        dio_free(ctx, block);
    }
    return status;
}

void *dio_weights_block(struct dio_ctx *ctx, struct dio_weights *weights, size_t size, const char *what)
{
    void *block = dio_alloc(ctx, size, what);
    return block && dio_weights_adopt(ctx, weights, block) == DIO_OK ? block : NULL;
}

/* FNV-1a with a last mixing, so that the low bits, which pick the slot, depend on the whole name. */
static uint64_t hash_name(const char *name, size_t length)
{
    uint64_t hash = 0xcbf29ce484222325u ^ length;
    for (size_t i = 0; i < length; i++) {
        hash ^= (unsigned char)name[i];
        hash *= 0x100000001b3u;
    }
    hash ^= hash >> 32;
    hash *= 0xd6e8feb86659fd93u;
    return hash ^ hash >> 32;
}

dio_status dio_weights_index(struct dio_ctx *ctx, struct dio_weights *weights, const struct dio_weight **twice)
{
    if (twice) *twice = NULL;
    size_t size = 16;
    while (size < weights->count * 2) size *= 2;
    dio_free(ctx, weights->table);
    weights->table = dio_alloc_zeroed(ctx, size, sizeof *weights->table, "the table of tensor names");
    weights->table_size = weights->table ? size : 0;
    if (!weights->table) return DIO_ERR_ENV;
    for (size_t i = 0; i < weights->count; i++) {
        const struct dio_weight *item = &weights->items[i];
        size_t slot = (size_t)hash_name(item->name, item->name_length) & (size - 1);
        bool seen = false;
        while (weights->table[slot] && !seen) {
            const struct dio_weight *other = &weights->items[weights->table[slot] - 1];
            seen = other->name_length == item->name_length && memcmp(other->name, item->name, item->name_length) == 0;
            if (!seen) slot = (slot + 1) & (size - 1);
        }
        if (!seen) {
            weights->table[slot] = (uint32_t)(i + 1);
        } else if (twice && !*twice) {
            *twice = item;
        }
    }
    return DIO_OK;
}

const struct dio_weight *dio_weights_find_n(const struct dio_weights *weights, const char *name, size_t length)
{
    if (!weights->table_size) return NULL;
    size_t slot = (size_t)hash_name(name, length) & (weights->table_size - 1);
    while (weights->table[slot]) {
        const struct dio_weight *item = &weights->items[weights->table[slot] - 1];
        if (item->name_length == length && memcmp(item->name, name, length) == 0) return item;
        slot = (slot + 1) & (weights->table_size - 1);
    }
    return NULL;
}

const struct dio_weight *dio_weights_find(const struct dio_weights *weights, const char *name)
{
    return dio_weights_find_n(weights, name, strlen(name));
}

const char *dio_weights_meta(const struct dio_weights *weights, const char *key)
{
    for (size_t i = 0; i < weights->metadata_count; i++) {
        if (strcmp(weights->metadata[i].key, key) == 0) return weights->metadata[i].value;
    }
    return NULL;
}

bool dio_weight_shape(const struct dio_weight *weight, struct dio_shape *shape)
{
    if (weight->rank > DIO_MAX_RANK) return false;
    *shape = (struct dio_shape){.rank = weight->rank};
    for (int i = 0; i < weight->rank; i++) shape->dims[i] = weight->dims[i];
    return true;
}

bool dio_weight_is(const struct dio_weight *weight, int rank, const int64_t *dims)
{
    if (weight->rank != rank) return false;
    for (int i = 0; i < rank; i++) {
        if (weight->dims[i] != dims[i]) return false;
    }
    return true;
}

static dio_status fail_weight(struct dio_ctx *ctx, dio_status code, const char *row, const struct dio_weights *weights,
                              const struct dio_weight *weight, const char *reason, const char *detail)
{
    char name[208], part[224];
    dio_escape(name, sizeof name, weight->name, weight->name_length, 200);
    snprintf(part, sizeof part, "tensor %s", name);
    const char *file = weight->source < weights->source_count ? weights->sources[weight->source] : weights->path;
    return dio_fail(ctx, code, row, &(struct dio_place){.file = file, .part = part, .tensor = name}, reason, detail);
}

static struct dio_gather gather_of(const struct dio_weight *weight)
{
    size_t size = dio_dtype_size(weight->dtype);
    bool complex = weight->dtype == DIO_C32 || weight->dtype == DIO_C64 || weight->dtype == DIO_C128;
    return (struct dio_gather){weight->data, weight->dims, weight->strides, weight->rank, size,
                               weight->swapped ? (complex ? size / 2 : size) : 0};
}

static bool plain(const struct dio_weight *weight)
{
    return !weight->strides && !weight->swapped;
}

static dio_status check_unchanged(struct dio_ctx *ctx, const struct dio_weights *weights, const struct dio_weight *weight)
{
    if (weight->source >= weights->source_count || dio_blob_unchanged(&weights->blobs[weight->source])) return DIO_OK;
    return dio_fail(ctx, DIO_ERR_INPUT, "S20", &(struct dio_place){.file = weights->sources[weight->source]},
                    "changed while it was read");
}

enum { PIECE = 4096 }; /* elements gathered at a time, on the stack */

dio_status dio_weight_to_f32(struct dio_ctx *ctx, const struct dio_weights *weights, const struct dio_weight *weight,
                             float *out)
{
    if (!dio_dtype_is_weight(weight->dtype)) {
        return fail_weight(ctx, DIO_ERR_INPUT, "S19", weights, weight, "dtype %s cannot be used as a weight",
                           dio_dtype_name(weight->dtype));
    }
    DIO_PASS(check_unchanged(ctx, weights, weight));
    if (plain(weight)) {
        dio_convert_to_f32(out, weight->data, weight->dtype, (size_t)weight->elements);
        return DIO_OK;
    }
    unsigned char piece[PIECE * 8];
    struct dio_gather gather = gather_of(weight);
    for (uint64_t at = 0; at < weight->elements; at += PIECE) {
        size_t count = weight->elements - at < PIECE ? (size_t)(weight->elements - at) : PIECE;
        dio_gather(&gather, at, count, piece);
        dio_convert_to_f32(out + at, piece, weight->dtype, count);
    }
    return DIO_OK;
}

dio_status dio_weight_copy(struct dio_ctx *ctx, const struct dio_weights *weights, const struct dio_weight *weight,
                           void *out)
{
    DIO_PASS(check_unchanged(ctx, weights, weight));
    if (!dio_dtype_size(weight->dtype)) { /* packed: only safetensors has them, always contiguous */
        uint64_t bits;
        if (!dio_mul_u64(weight->elements, (uint64_t)dio_dtype_bits(weight->dtype), &bits)) {
            return fail_weight(ctx, DIO_ERR_INPUT, "S12", weights, weight, "shape is too large%s", "");
        }
        if (bits) memcpy(out, weight->data, (size_t)(bits / 8));
        return DIO_OK;
    }
    struct dio_gather gather = gather_of(weight);
    dio_gather(&gather, 0, (size_t)weight->elements, out);
    return DIO_OK;
}

dio_status dio_weight_nonfinite(struct dio_ctx *ctx, const struct dio_weights *weights, const struct dio_weight *weight,
                                uint64_t *nan, uint64_t *inf)
{
    if (dio_dtype_is_integer(weight->dtype) || !dio_dtype_size(weight->dtype)) return DIO_OK;
    DIO_PASS(check_unchanged(ctx, weights, weight));
    if (plain(weight)) {
        dio_count_nonfinite(weight->data, weight->dtype, (size_t)weight->elements, nan, inf);
        return DIO_OK;
    }
    unsigned char piece[PIECE * 16];
    struct dio_gather gather = gather_of(weight);
    for (uint64_t at = 0; at < weight->elements; at += PIECE) {
        size_t count = weight->elements - at < PIECE ? (size_t)(weight->elements - at) : PIECE;
        dio_gather(&gather, at, count, piece);
        dio_count_nonfinite(piece, weight->dtype, count, nan, inf);
    }
    return DIO_OK;
}
