#include "format/stream.h"

#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "tensor/convert.h"

enum { PIECE = 4096 };

struct dio_weight dio_weight_of(const char *name, enum dio_dtype dtype, const int64_t *dims, int rank, const void *data)
{
    struct dio_weight item = {.name = name, .name_length = strlen(name), .dtype = dtype, .rank = rank, .dims = dims,
                              .elements = 1, .data = data};
    for (int i = 0; i < rank; i++) item.elements *= (uint64_t)dims[i];
    return item;
}

enum dio_dtype dio_save_dtype(const struct dio_save *save, const struct dio_weight *item)
{
    return item->dtype == DIO_F32 ? save->floats : item->dtype;
}

bool dio_save_bytes(const struct dio_save *save, const struct dio_weight *item, uint64_t *bytes)
{
    return dio_mul_u64(item->elements, (uint64_t)dio_dtype_bits(dio_save_dtype(save, item)), bytes) && ((*bytes /= 8), true);
}

dio_status dio_save_stream(const struct dio_save *save, const struct dio_weight *item, dio_sink_fn *sink, void *arg)
{
    enum dio_dtype dtype = dio_save_dtype(save, item);
    size_t size = dio_dtype_size(item->dtype), size_out = dio_dtype_size(dtype);
    unsigned char piece[PIECE * 16], out[PIECE * 4];
    if (!size) { /* packed types are never strided */
        uint64_t bytes = 0;
        dio_save_bytes(save, item, &bytes);
        return sink(arg, item->data, (size_t)bytes);
    }
    bool complex = item->dtype == DIO_C32 || item->dtype == DIO_C64 || item->dtype == DIO_C128;
    struct dio_gather gather = {item->data, item->dims, item->strides, item->rank, size,
                                item->swapped ? (complex ? size / 2 : size) : 0};
    for (uint64_t at = 0; at < item->elements; at += PIECE) {
        size_t count = item->elements - at < PIECE ? (size_t)(item->elements - at) : PIECE;
        dio_gather(&gather, at, count, piece);
        const void *bytes = piece;
        if (dtype != item->dtype) {
            float floats[PIECE];
            memcpy(floats, piece, count * sizeof *floats);
            dio_convert_from_f32(out, dtype, floats, count);
            bytes = out;
        }
        DIO_PASS(sink(arg, bytes, count * size_out));
    }
    return DIO_OK;
}

static int by_name(const void *a, const void *b)
{
    const struct dio_weight *x = *(const struct dio_weight *const *)a, *y = *(const struct dio_weight *const *)b;
    size_t least = x->name_length < y->name_length ? x->name_length : y->name_length;
    int order = memcmp(x->name, y->name, least);
    return order ? order : (x->name_length > y->name_length) - (x->name_length < y->name_length);
}

dio_status dio_save_check_names(struct dio_ctx *ctx, const char *path, const struct dio_save *save)
{
    if (save->floats != DIO_F32 && save->floats != DIO_F16 && save->floats != DIO_BF16) {
        return dio_fail(ctx, DIO_ERR_USAGE, NULL, &(struct dio_place){.file = path}, "weights are written as f32, f16 or bf16");
    }
    const struct dio_weight **order = dio_alloc_array(ctx, save->count, sizeof *order, "the order of tensors");
    if (!order) return DIO_ERR_ENV;
    for (size_t i = 0; i < save->count; i++) order[i] = &save->items[i];
    if (save->count) qsort(order, save->count, sizeof *order, by_name);
    dio_status status = DIO_OK;
    for (size_t i = 1; i < save->count && status == DIO_OK; i++) {
        if (by_name(&order[i - 1], &order[i]) == 0) {
            status = dio_fail(ctx, DIO_ERR_INTERNAL, NULL, &(struct dio_place){.file = path}, "two tensors are called %s",
                              order[i]->name);
        }
    }
    dio_free(ctx, order);
    return status;
}
