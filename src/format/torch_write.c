/* .pth for torch.load(weights_only=True): stored zip entries aligned to 64 bytes, an OrderedDict pickled with protocol 2.
 * The same tensors give the same bytes: no times, no names of files. */
#include <inttypes.h>
#include <string.h>
#include <zlib.h>

#include "base/str.h"
#include "format/stream.h"
#include "format/torch.h"

enum { ALIGN = 64, LOCAL_SIZE = 30, DOS_DATE = 0x21 /* 1980-01-01 */ };

static const char *storage_type(enum dio_dtype dtype)
{
    switch (dtype) {
    case DIO_F32: return "FloatStorage";
    case DIO_F16: return "HalfStorage";
    case DIO_BF16: return "BFloat16Storage";
    case DIO_F64: return "DoubleStorage";
    case DIO_I64: return "LongStorage";
    case DIO_I32: return "IntStorage";
    case DIO_I16: return "ShortStorage";
    case DIO_I8: return "CharStorage";
    case DIO_U8: return "ByteStorage";
    case DIO_BOOL: return "BoolStorage";
    case DIO_C64: return "ComplexFloatStorage";
    case DIO_C128: return "ComplexDoubleStorage";
    default: return NULL;
    }
}

/* ---- pickle ---- */

static void put_le(struct dio_str *out, uint64_t value, int size)
{
    unsigned char bytes[8];
    for (int i = 0; i < size; i++) bytes[i] = (unsigned char)(value >> (8 * i));
    dio_str_add_bytes(out, bytes, (size_t)size);
}

static void put_text(struct dio_str *out, const char *text, size_t length)
{
    dio_str_add(out, "X");
    put_le(out, length, 4);
    dio_str_add_bytes(out, text, length);
}

static void put_int(struct dio_str *out, uint64_t value)
{
    if (value < 256) {
        dio_str_add(out, "K");
        put_le(out, value, 1);
    } else if (value <= INT32_MAX) {
        dio_str_add(out, "J");
        put_le(out, value, 4);
    } else {
        dio_str_add(out, "\x8a\x08");
        put_le(out, value, 8);
    }
}

static void put_tuple(struct dio_str *out, const int64_t *numbers, int count)
{
    dio_str_add(out, "(");
    for (int i = 0; i < count; i++) put_int(out, (uint64_t)numbers[i]);
    dio_str_add(out, "t");
}

static dio_status put_tensor(struct dio_ctx *ctx, const char *path, const struct dio_save *save, size_t index, struct dio_str *out)
{
    const struct dio_weight *item = &save->items[index];
    enum dio_dtype dtype = dio_save_dtype(save, item);
    const char *type = storage_type(dtype);
    int64_t strides[DIO_MAX_TENSOR_RANK], stride = 1;
    char key[24];
    if (!type || item->rank > DIO_MAX_TENSOR_RANK) {
        return dio_fail(ctx, DIO_ERR_USAGE, "S19", &(struct dio_place){.file = path}, "tensor %s: %s cannot be written to a .pth",
                        item->name, dio_dtype_name(dtype));
    }
    for (int d = item->rank - 1; d >= 0; d--) {
        strides[d] = stride;
        stride *= item->dims[d] > 1 ? item->dims[d] : 1;
    }
    put_text(out, item->name, item->name_length);
    dio_str_add(out, "ctorch._utils\n_rebuild_tensor_v2\n((");
    put_text(out, "storage", 7);
    dio_str_addf(out, "ctorch\n%s\n", type);
    put_text(out, key, (size_t)snprintf(key, sizeof key, "%zu", index));
    put_text(out, "cpu", 3);
    put_int(out, item->elements);
    dio_str_add(out, "tQ");
    put_int(out, 0);
    put_tuple(out, item->dims, item->rank);
    put_tuple(out, strides, item->rank);
    dio_str_add(out, "\x89" "ccollections\nOrderedDict\n)RtR");
    return DIO_OK;
}

static dio_status make_pickle(struct dio_ctx *ctx, const char *path, const struct dio_save *save, struct dio_str *out)
{
    dio_str_add(out, "\x80\x02" "ccollections\nOrderedDict\n)R(");
    for (size_t i = 0; i < save->count; i++) DIO_PASS(put_tensor(ctx, path, save, i, out));
    dio_str_add(out, "u.");
    return dio_str_status(out);
}

/* ---- zip ---- */

struct archive {
    struct dio_ctx *ctx;
    struct dio_writer writer;
    struct dio_str directory;
    uint64_t at; /* bytes written */
    size_t count;
};

static dio_status put(struct archive *a, const void *bytes, size_t length)
{
    a->at += length;
    return dio_writer_put(&a->writer, bytes, length);
}

static dio_status begin_entry(struct archive *a, const char *name, uint64_t size, uint32_t crc)
{
    static const char padding[ALIGN + 1] = "ZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZ";
    size_t length = strlen(name);
    uint64_t data = a->at + LOCAL_SIZE + length + 4;
    size_t pad = (size_t)((ALIGN - data % ALIGN) % ALIGN);
    if (size > UINT32_MAX - 1 || data + pad > UINT32_MAX - 1 || a->count >= 0xfffe) {
        return dio_fail(a->ctx, DIO_ERR_USAGE, NULL, &(struct dio_place){.file = a->writer.path, .hint = "write a .safetensors"},
                        "4 GB or 65535 tensors and more do not go into this kind of .pth");
    }
    struct dio_str local, *record = &a->directory;
    dio_str_init(&local, a->ctx);
    put_le(&local, 0x04034b50, 4);
    put_le(record, 0x02014b50, 4);
    put_le(record, 0, 2);
    for (int i = 0; i < 2; i++) { /* what both headers share */
        struct dio_str *out = i ? record : &local;
        put_le(out, 0, 2); /* version needed */
        put_le(out, 0, 2); /* flags */
        put_le(out, 0, 2); /* stored */
        put_le(out, 0, 2);
        put_le(out, DOS_DATE, 2);
        put_le(out, crc, 4);
        put_le(out, size, 4);
        put_le(out, size, 4);
        put_le(out, length, 2);
    }
    put_le(&local, pad + 4, 2);
    dio_str_add(&local, name);
    dio_str_add(&local, "FB");
    put_le(&local, pad, 2);
    dio_str_add_bytes(&local, padding, pad);
    put_le(record, 0, 2); /* extra, comment, disk, attributes */
    put_le(record, 0, 2);
    put_le(record, 0, 2);
    put_le(record, 0, 2);
    put_le(record, 0, 4);
    put_le(record, a->at, 4);
    dio_str_add(record, name);
    a->count++;
    dio_status status = dio_str_status(&local);
    if (status == DIO_OK) status = put(a, local.data, local.length);
    dio_str_free(&local);
    return status;
}

static dio_status put_entry(struct archive *a, const char *name, const void *bytes, size_t length)
{
    DIO_PASS(begin_entry(a, name, length, (uint32_t)crc32_z(0, bytes, length)));
    return put(a, bytes, length);
}

static dio_status add_crc(void *arg, const void *bytes, size_t length)
{
    uLong *crc = arg;
    *crc = crc32_z(*crc, bytes, length);
    return DIO_OK;
}

static dio_status put_piece(void *arg, const void *bytes, size_t length)
{
    return put(arg, bytes, length);
}

static dio_status put_storage(struct archive *a, const struct dio_save *save, size_t index)
{
    char name[48];
    uint64_t bytes = UINT64_MAX;
    uLong crc = 0;
    snprintf(name, sizeof name, "archive/data/%zu", index);
    dio_save_bytes(save, &save->items[index], &bytes);
    DIO_PASS(dio_save_stream(save, &save->items[index], add_crc, &crc));
    DIO_PASS(begin_entry(a, name, bytes, (uint32_t)crc));
    return dio_save_stream(save, &save->items[index], put_piece, a);
}

static dio_status put_directory(struct archive *a)
{
    uint64_t begin = a->at, size = a->directory.length;
    DIO_PASS(dio_str_status(&a->directory));
    DIO_PASS(put(a, a->directory.data, a->directory.length));
    struct dio_str end;
    dio_str_init(&end, a->ctx);
    put_le(&end, 0x06054b50, 4);
    put_le(&end, 0, 4);
    put_le(&end, a->count, 2);
    put_le(&end, a->count, 2);
    put_le(&end, size, 4);
    put_le(&end, begin, 4);
    put_le(&end, 0, 2);
    dio_status status = dio_str_status(&end);
    if (status == DIO_OK) status = put(a, end.data, end.length);
    dio_str_free(&end);
    return status;
}

/* An entry of its own, which torch.load passes by: the pickle stays a dictionary of tensors. */
static dio_status put_metadata(struct archive *a, const struct dio_metadata *pair)
{
    char *name = dio_sprintf(a->ctx, "archive/" DIO_TORCH_EXTRA "%.*s", (int)pair->key_length, pair->key);
    if (!name) return DIO_ERR_ENV;
    const dio_status status = put_entry(a, name, pair->value, pair->value_length);
    dio_free(a->ctx, name);
    return status;
}

dio_status dio_torch_write(struct dio_ctx *ctx, const char *path, const struct dio_save *save)
{
    dio_status status;
    struct archive a = {.ctx = ctx};
    struct dio_str pickle;
    bool open = false;
    dio_str_init(&pickle, ctx);
    dio_str_init(&a.directory, ctx);
    DIO_TRY(dio_save_check_names(ctx, path, save));
    DIO_TRY(make_pickle(ctx, path, save, &pickle));
    DIO_TRY(dio_writer_open(ctx, path, &a.writer));
    open = true;
    DIO_TRY(put_entry(&a, "archive/data.pkl", pickle.data, pickle.length));
    DIO_TRY(put_entry(&a, "archive/byteorder", "little", 6));
    for (size_t i = 0; i < save->count; i++) DIO_TRY(put_storage(&a, save, i));
    DIO_TRY(put_entry(&a, "archive/version", "3\n", 2));
    for (size_t i = 0; i < save->metadata_count; i++) DIO_TRY(put_metadata(&a, &save->metadata[i]));
    DIO_TRY(put_directory(&a));
    status = dio_writer_commit(&a.writer);
fail:
    if (open && status != DIO_OK) dio_writer_abort(&a.writer);
    dio_str_free(&pickle);
    dio_str_free(&a.directory);
    return status;
}
