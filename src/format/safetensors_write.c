/* The writer of safetensors files: byte for byte what the official one gives for the same tensors and metadata. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "format/safetensors.h"
#include "format/stream.h"

/* The official order of types, smallest alignment first; the file goes from its end to its beginning. */
static const unsigned char rank_of[DIO_DTYPE_COUNT] = {
    [DIO_BOOL] = 0, [DIO_F4] = 1, [DIO_F6_E2M3] = 2, [DIO_F6_E3M2] = 3, [DIO_U8] = 4, [DIO_I8] = 5, [DIO_F8_E5M2] = 6,
    [DIO_F8_E4M3] = 7, [DIO_F8_E8M0] = 8, [DIO_F8_E4M3FNUZ] = 9, [DIO_F8_E5M2FNUZ] = 10, [DIO_I16] = 11, [DIO_U16] = 12,
    [DIO_F16] = 13, [DIO_BF16] = 14, [DIO_I32] = 15, [DIO_U32] = 16, [DIO_F32] = 17, [DIO_C32] = 18, [DIO_C64] = 19,
    [DIO_F64] = 20, [DIO_I64] = 21, [DIO_U64] = 22, [DIO_C128] = 23,
};

struct ordered {
    const struct dio_weight *item;
    unsigned char rank;
};

static int compare_text(const char *a, size_t a_length, const char *b, size_t b_length)
{
    int order = memcmp(a, b, a_length < b_length ? a_length : b_length);
    return order ? order : (a_length > b_length) - (a_length < b_length);
}

static int by_rank(const void *a, const void *b)
{
    const struct ordered *x = a, *y = b;
    if (x->rank != y->rank) return x->rank > y->rank ? -1 : 1;
    return compare_text(x->item->name, x->item->name_length, y->item->name, y->item->name_length);
}

static int by_key(const void *a, const void *b)
{
    const struct dio_metadata *x = a, *y = b;
    return compare_text(x->key, x->key_length, y->key, y->key_length);
}

static void add_quoted(struct dio_str *out, const char *text, size_t length)
{
    static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
    dio_str_add(out, "\"");
    size_t start = 0;
    for (size_t i = 0; i < length; i++) {
        const char *known = memchr(from, text[i], sizeof from - 1);
        if (!known && (unsigned char)text[i] >= 0x20) continue;
        dio_str_add_bytes(out, text + start, i - start);
        if (known) {
            dio_str_addf(out, "\\%c", to[known - from]);
        } else {
            dio_str_addf(out, "\\u%04x", (unsigned)(unsigned char)text[i]);
        }
        start = i + 1;
    }
    dio_str_add_bytes(out, text + start, length - start);
    dio_str_add(out, "\"");
}

static dio_status add_metadata(struct dio_ctx *ctx, const struct dio_save *save, struct dio_str *out)
{
    if (!save->metadata_count) return DIO_OK;
    struct dio_metadata *sorted = dio_alloc_array(ctx, save->metadata_count, sizeof *sorted, "metadata");
    if (!sorted) return DIO_ERR_ENV;
    memcpy(sorted, save->metadata, save->metadata_count * sizeof *sorted);
    qsort(sorted, save->metadata_count, sizeof *sorted, by_key);
    dio_str_add(out, "\"__metadata__\":{");
    for (size_t i = 0; i < save->metadata_count; i++) {
        if (i) dio_str_add(out, ",");
        add_quoted(out, sorted[i].key, sorted[i].key_length);
        dio_str_add(out, ":");
        add_quoted(out, sorted[i].value, sorted[i].value_length);
    }
    dio_str_add(out, "}");
    dio_free(ctx, sorted);
    return DIO_OK;
}

static dio_status add_entry(struct dio_ctx *ctx, const char *path, const struct dio_save *save,
                            const struct dio_weight *item, uint64_t *offset, struct dio_str *out)
{
    uint64_t bytes;
    if (!dio_save_bytes(save, item, &bytes) || bytes > INT64_MAX - *offset) {
        return dio_fail(ctx, DIO_ERR_USAGE, NULL, &(struct dio_place){.file = path}, "tensor %s is too large", item->name);
    }
    add_quoted(out, item->name, item->name_length);
    dio_str_addf(out, ":{\"dtype\":\"%s\",\"shape\":[", dio_dtype_name(dio_save_dtype(save, item)));
    for (int d = 0; d < item->rank; d++) dio_str_addf(out, d ? ",%" PRId64 : "%" PRId64, item->dims[d]);
    dio_str_addf(out, "],\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}", *offset, *offset + bytes);
    *offset += bytes;
    return DIO_OK;
}

static dio_status make_header(struct dio_ctx *ctx, const char *path, const struct dio_save *save,
                              const struct ordered *order, struct dio_str *out)
{
    uint64_t offset = 0;
    dio_str_add(out, "{");
    DIO_PASS(add_metadata(ctx, save, out));
    for (size_t i = 0; i < save->count; i++) {
        if (i || save->metadata_count) dio_str_add(out, ",");
        DIO_PASS(add_entry(ctx, path, save, order[i].item, &offset, out));
    }
    dio_str_add(out, "}");
    while (!out->failed && out->length % 8) dio_str_add(out, " ");
    return dio_str_status(out);
}

static dio_status put(void *arg, const void *bytes, size_t length)
{
    return dio_writer_put(arg, bytes, length);
}

dio_status dio_safetensors_write(struct dio_ctx *ctx, const char *path, const struct dio_save *save)
{
    dio_status status;
    struct dio_str header;
    struct dio_writer writer;
    bool open = false;
    struct ordered *order = dio_alloc_array(ctx, save->count, sizeof *order, "the order of tensors");
    if (!order) return DIO_ERR_ENV;
    dio_str_init(&header, ctx);
    DIO_TRY(dio_save_check_names(ctx, path, save));
    for (size_t i = 0; i < save->count; i++) {
        order[i] = (struct ordered){&save->items[i], rank_of[dio_save_dtype(save, &save->items[i])]};
    }
    if (save->count) qsort(order, save->count, sizeof *order, by_rank);
    DIO_TRY(make_header(ctx, path, save, order, &header));
    unsigned char length[8];
    for (int i = 0; i < 8; i++) length[i] = (unsigned char)((uint64_t)header.length >> (8 * i));
    DIO_TRY(dio_writer_open(ctx, path, &writer));
    open = true;
    DIO_TRY(dio_writer_put(&writer, length, sizeof length));
    DIO_TRY(dio_writer_put(&writer, header.data, header.length));
    for (size_t i = 0; i < save->count; i++) DIO_TRY(dio_save_stream(save, order[i].item, put, &writer));
    status = dio_writer_commit(&writer);
fail:
    if (open && status != DIO_OK) dio_writer_abort(&writer);
    dio_str_free(&header);
    dio_free(ctx, order);
    return status;
}
