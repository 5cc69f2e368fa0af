/* PyTorch's containers: the values of the goldens (written by PyTorch), hostile zips and pickles that the vectors lack. */
#include "read_all.h"

#include <zlib.h>

#include "format/pickle.h"
#include "text/json.h"

/* ---- goldens ---- */

static enum dio_dtype dtype_of(const char *torch)
{
    static const struct {
        const char *torch;
        enum dio_dtype dtype;
    } known[] = {{"torch.float32", DIO_F32}, {"torch.float16", DIO_F16}, {"torch.bfloat16", DIO_BF16}, {"torch.int64", DIO_I64}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(known[i].torch, torch) == 0) return known[i].dtype;
    }
    fail_msg("formats.json: element type %s", torch);
    return DIO_DTYPE_COUNT;
}

/* "conv.weight" of formats.json: shape and numbers. */
static void check_value(struct test_ctx *test, const struct dio_weights *weights, const struct dio_weight *item,
                        const struct dio_tree_node *values)
{
    const char *name = strncmp(item->name, "module.", 7) == 0 ? item->name + 7 : item->name;
    const struct dio_tree_node *value = dio_node_get(values, name);
    if (!value) return; /* of a file whose numbers are not in the list */
    const struct dio_tree_node *shape = dio_node_get(value, "shape"), *data = dio_node_get(value, "data");
    assert_int_equal(shape->count, item->rank);
    assert_int_equal(data->count, item->elements);
    assert_int_equal(item->dtype, dtype_of(dio_node_get(value, "dtype")->text));
    for (int d = 0; d < item->rank; d++) assert_int_equal(strtoll(shape->items[d].text, NULL, 10), item->dims[d]);
    float out[64];
    assert_true(item->elements <= 64);
    assert_ok(test, dio_weight_to_f32(&test->ctx, weights, item, out));
    for (size_t i = 0; i < data->count; i++) {
        double expected = strtod(data->items[i].text, NULL); /* exact values of the element types */
        assert_true((double)out[i] == expected);
    }
}

static void goldens_have_pytorchs_values(void **state)
{
    (void)state;
    static const struct {
        const char *file;
        size_t tensors;
        const char *detail;
    } files[] = {
        {"zip_plain.pth", 5, "zip container"}, {"legacy.pth", 5, "legacy container"}, {"zip_proto4.pth", 5, "zip container"},
        {"zip_nested.pth", 5, "zip container, from \"state_dict\""}, {"zip_views.pth", 7, "zip container"},
        {"legacy_views.pth", 7, "legacy container"}, {"zip_module_state.pth", 7, "zip container"}, {"plain.safetensors", 5, NULL},
    };
    struct test_ctx test;
    struct dio_tree tree;
    test_begin(&test);
    assert_ok(&test, dio_json_read(&test.ctx, test_source_path("format/golden/formats.json"), 1 << 20, "J1", &tree));
    for (size_t f = 0; f < sizeof files / sizeof *files; f++) {
        struct dio_weights weights;
        char name[100];
        snprintf(name, sizeof name, "format/golden/%s", files[f].file);
        assert_ok(&test, dio_weights_read(&test.ctx, test_source_path(name), NULL, &weights));
        assert_int_equal(weights.count, files[f].tensors);
        if (files[f].detail) assert_string_equal(weights.detail, files[f].detail);
        for (size_t i = 0; i < weights.count; i++) check_value(&test, &weights, &weights.items[i], dio_node_get(tree.root, "values"));
        dio_weights_free(&test.ctx, &weights);
    }
    dio_tree_free(&tree);
    test_end(&test);
}

/* One dict under two keys is said (P23); one in a tuple is found. */
static void dicts_are_chosen(void **state)
{
    (void)state;
    struct test_ctx test;
    struct dio_weights weights;
    test_begin(&test);
    assert_ok(&test, dio_weights_read(&test.ctx, test_source_path("format/golden/zip_tuple.pth"), NULL, &weights));
    assert_int_equal(weights.count, 2);
    assert_null(weights.note);
    dio_weights_free(&test.ctx, &weights);
    assert_ok(&test, dio_weights_read(&test.ctx, test_source_path("format/golden/zip_twice.pth"), NULL, &weights));
    assert_int_equal(weights.count, 2);
    assert_string_equal(weights.note, "using \"state_dict\"; also there: \"state_dict_ema\"");
    dio_weights_free(&test.ctx, &weights);
    test_end(&test);
}

static void goldens_survive_every_failing_allocation(void **state)
{
    (void)state;
    static const char *const files[] = {"zip_nested.pth", "legacy_views.pth"};
    for (size_t i = 0; i < 2; i++) {
        char name[100], path[4096];
        snprintf(name, sizeof name, "format/golden/%s", files[i]);
        snprintf(path, sizeof path, "%s", test_source_path(name));
        test_fail_each_allocation(read_all_body, path);
    }
}

/* ---- zips by hand ---- */

struct entry {
    const char *name;
    const void *data; /* as stored in the file */
    size_t packed, size;
    uint16_t method;
    uint32_t crc;
};

static unsigned char *le(unsigned char *out, uint64_t value, int size)
{
    for (int i = 0; i < size; i++) *out++ = (unsigned char)(value >> (8 * i));
    return out;
}

static const char *make_zip(const char *file, const struct entry *entries, size_t count)
{
    static unsigned char bytes[1 << 16];
    unsigned char directory[4096], *out = bytes, *record = directory;
    for (size_t i = 0; i < count; i++) {
        const struct entry *e = &entries[i];
        size_t length = strlen(e->name), header = (size_t)(out - bytes);
        out = le(le(le(le(out, 0x04034b50, 4), 20, 2), 0, 2), e->method, 2);
        out = le(le(le(le(out, 0, 4), e->crc, 4), e->packed, 4), e->size, 4);
        out = le(le(out, length, 2), 0, 2);
        memcpy(out, e->name, length);
        out += length;
        memcpy(out, e->data, e->packed);
        out += e->packed;
        record = le(le(le(le(record, 0x02014b50, 4), 20, 4), 0, 2), e->method, 2);
        record = le(le(le(le(record, 0, 4), e->crc, 4), e->packed, 4), e->size, 4);
        record = le(le(le(le(record, length, 2), 0, 8), 0, 4), header, 4);
        memcpy(record, e->name, length);
        record += length;
    }
    size_t at = (size_t)(out - bytes), size = (size_t)(record - directory);
    memcpy(out, directory, size);
    out = le(le(le(le(out + size, 0x06054b50, 4), 0, 4), count, 2), count, 2);
    out = le(le(le(out, size, 4), at, 4), 0, 2);
    const char *path = test_in(&folder, file);
    test_write(path, bytes, (size_t)(out - bytes));
    return path;
}

/* {"w": tensor of 64 f32 in storage "0"} */
static const char pickled[] =
    "\x80\x02}X\x01\0\0\0wctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\nFloatStorage\n"
    "X\x01\0\0\0" "0X\x03\0\0\0cpuK@tQK\0K@\x85K\x01\x85\x89}tRs.";

static struct entry stored(const char *name, const void *data, size_t size)
{
    return (struct entry){name, data, size, size, 0, (uint32_t)crc32(0, data, (unsigned)size)};
}

static size_t deflate_raw(const void *data, size_t size, unsigned char *out, size_t out_size)
{
    z_stream stream = {0};
    assert_int_equal(deflateInit2(&stream, 9, Z_DEFLATED, -15, 9, Z_DEFAULT_STRATEGY), Z_OK);
    stream.next_in = (unsigned char *)(uintptr_t)data;
    stream.avail_in = (unsigned)size;
    stream.next_out = out;
    stream.avail_out = (unsigned)out_size;
    assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
    size_t made = stream.total_out;
    deflateEnd(&stream);
    return made;
}

static void deflated_entries_are_held_to_what_they_declare(void **state)
{
    (void)state;
    struct test_ctx test;
    float data[64];
    unsigned char packed[1024];
    test_begin(&test);
    for (int i = 0; i < 64; i++) data[i] = (float)i;
    struct entry entries[2] = {stored("a/data.pkl", pickled, sizeof pickled - 1), stored("a/data/0", data, sizeof data)};
    assert_ok(&test, read_all(&test, make_zip("z.pth", entries, 2)));
    struct entry good = entries[1];
    good.packed = deflate_raw(data, sizeof data, packed, sizeof packed);
    good.data = packed;
    good.method = 8;
    entries[1] = good;
    assert_ok(&test, read_all(&test, make_zip("z.pth", entries, 2)));

    entries[1].crc ^= 1;
    assert_refused(&test, DIO_ERR_INPUT, "entry a/data/0: checksum differs", read_all(&test, make_zip("z.pth", entries, 2)));
    entries[1] = good;
    entries[1].packed = deflate_raw(data, sizeof data - 4, packed, sizeof packed); /* gives less than declared */
    assert_refused(&test, DIO_ERR_INPUT, "deflate data gives 252 bytes, 256 declared", read_all(&test, make_zip("z.pth", entries, 2)));
    unsigned char more[260] = {0};
    entries[1].packed = deflate_raw(more, sizeof more, packed, sizeof packed);
    assert_refused(&test, DIO_ERR_INPUT, "deflate data gives more than the 256 bytes", read_all(&test, make_zip("z.pth", entries, 2)));
    entries[1].packed = deflate_raw(data, sizeof data, packed, sizeof packed);
    entries[1].packed -= 5;
    assert_refused(&test, DIO_ERR_INPUT, "deflate data ends too early", read_all(&test, make_zip("z.pth", entries, 2)));
    entries[1].packed += 8;
    assert_refused(&test, DIO_ERR_INPUT, "bytes follow the deflate data", read_all(&test, make_zip("z.pth", entries, 2)));
    entries[1] = good;
    deflate_raw(data, sizeof data, packed, sizeof packed);
    packed[0] |= 6; /* a block type that does not exist */
    assert_refused(&test, DIO_ERR_INPUT, "deflate data is damaged", read_all(&test, make_zip("z.pth", entries, 2)));
    entries[1].packed = entries[1].size = 256;
    entries[1].method = 9;
    assert_refused(&test, DIO_ERR_INPUT, "compression method 9", read_all(&test, make_zip("z.pth", entries, 2)));
    test_end(&test);
}

static void unpacking_has_limits(void **state)
{
    (void)state;
    struct test_ctx test;
    static const unsigned char zeros[1 << 16];
    unsigned char packed[1024];
    test_begin(&test);
    struct entry e = {"a/data.pkl", packed, deflate_raw(zeros, sizeof zeros, packed, sizeof packed), sizeof zeros, 8,
                      (uint32_t)crc32(0, zeros, sizeof zeros)};
    test.ctx.limits.max_unpack = 1000;
    assert_refused(&test, DIO_ERR_INPUT, "--max-unpack 1000", read_all(&test, make_zip("z.pth", &e, 1)));
    test.ctx.limits.max_unpack = 0;
    assert_refused(&test, DIO_ERR_INPUT, "opcode 0x00", read_all(&test, make_zip("z.pth", &e, 1)));
    e.size = 1u << 31;
    assert_refused(&test, DIO_ERR_INPUT, "deflate data cannot give", read_all(&test, make_zip("z.pth", &e, 1)));
    assert_true(atomic_load(&test.stats.peak_bytes) < 1 << 20);
    struct entry two[2] = {stored("a/data.pkl", pickled, sizeof pickled - 1), stored("a/b", "x", 1)};
    test.ctx.limits.max_tensors = 1;
    assert_refused(&test, DIO_ERR_INPUT, "--max-tensors 1", read_all(&test, make_zip("z.pth", two, 2)));
    test_end(&test);
}

/* ---- pickles by hand ---- */

static dio_status run(struct test_ctx *test, const char *bytes, size_t size, struct dio_pickle *pickle, uint32_t *root)
{
    dio_status status = dio_pickle_init(pickle, &test->ctx, "f", (const unsigned char *)bytes, size, 100, false);
    if (status == DIO_OK) status = dio_pickle_run(pickle, root);
    return status;
}

#define RUN(bytes) run(&test, bytes, sizeof bytes - 1, &pickle, &root)

static void pickles_give_objects(void **state)
{
    (void)state;
    struct test_ctx test;
    struct dio_pickle pickle;
    uint32_t root = 0, value = 0;
    test_begin(&test);
    assert_ok(&test, RUN("\x80\x02}q\0(X\x01\0\0\0aK\x07X\x01\0\0\0bJ\xff\xff\xff\xffX\x01\0\0\0aG\x3f\xf8\0\0\0\0\0\0u."));
    const struct dio_py *dict = dio_py_at(&pickle, root);
    assert_int_equal(dict->kind, DIO_PY_DICT);
    assert_true(dio_py_get(&pickle, dict, "b", &value) && dio_py_at(&pickle, value)->u.integer == -1);
    assert_true(dio_py_get(&pickle, dict, "a", &value) && dio_py_at(&pickle, value)->u.real == 1.5); /* the last one */
    dio_pickle_free(&pickle);
    assert_ok(&test, RUN("\x80\x04]\x94(K\x01\x88N\x8a\x02\xff\xff)e."));
    const struct dio_py *list = dio_py_at(&pickle, root);
    assert_true(list->kind == DIO_PY_LIST && list->count == 5);
    assert_int_equal(dio_py_at(&pickle, list->u.items[3])->u.integer, -1);
    assert_int_equal(dio_py_at(&pickle, list->u.items[1])->kind, DIO_PY_BOOL);
    dio_pickle_free(&pickle);
    test_end(&test);
}

static void pickles_refuse(void **state)
{
    (void)state;
    struct test_ctx test;
    struct dio_pickle pickle;
    uint32_t root;
    test_begin(&test);
    assert_refused(&test, DIO_ERR_INPUT, "f: pickle asks for os.system: refused (offset 102)", RUN("\x80\x02" "cos\nsystem\n."));
    dio_pickle_free(&pickle);
    assert_refused(&test, DIO_ERR_INPUT, "f: pickle: SETITEM on a list, not on a dict (offset 105)", RUN("\x80\x02]NNs."));
    dio_pickle_free(&pickle);
    assert_refused(&test, DIO_ERR_INPUT, "ends inside an opcode", RUN("\x80\x04\x95\x05\0\0\0\0\0\0\0]]]]X\x01\0\0\0a."));
    dio_pickle_free(&pickle);
    assert_refused(&test, DIO_ERR_INPUT, "odd number", RUN("\x80\x02}(Nu."));
    dio_pickle_free(&pickle);
    assert_refused(&test, DIO_ERR_INPUT, "BUILD on a tuple", RUN("\x80\x02)}b."));
    dio_pickle_free(&pickle);
    assert_refused(&test, DIO_ERR_INPUT, "cannot be called", RUN("\x80\x02" "ctorch\nfloat32\n)R."));
    dio_pickle_free(&pickle);
    /* One list, copied into sets again and again: much memory out of few bytes. */
    char bomb[8192] = "\x80\x02](";
    size_t used = 4;
    for (int i = 0; i < 1000; i++) bomb[used++] = 'N';
    memcpy(bomb + used, "eq\x01" "0", 4);
    used += 4;
    static const char copy[] = "c__builtin__\nset\nh\x01\x85R0";
    for (int i = 0; i < 200; i++, used += sizeof copy - 1) memcpy(bomb + used, copy, sizeof copy - 1);
    bomb[used] = 'N';
    bomb[used + 1] = '.';
    assert_refused(&test, DIO_ERR_INPUT, "copied again and again", run(&test, bomb, used + 2, &pickle, &root));
    dio_pickle_free(&pickle);
    test.ctx.limits.max_opcodes = 3;
    assert_refused(&test, DIO_ERR_INPUT, "--max-opcodes 3", RUN("\x80\x02NNNN."));
    dio_pickle_free(&pickle);
    test_end(&test);
}

static void unknown_names_may_be_opaque(void **state)
{
    (void)state;
    struct test_ctx test;
    struct dio_weights weights;
    float data[64] = {0};
    test_begin(&test);
    /* {"w": tensor, "x": foo.Bar(), "y": 3} */
    char bytes[512];
    size_t length = sizeof pickled - 2; /* without STOP */
    memcpy(bytes, pickled, length);
    static const char more[] = "X\x01\0\0\0xcfoo\nBar\n)\x81sX\x01\0\0\0yK\x03s.";
    memcpy(bytes + length, more, sizeof more - 1);
    struct entry entries[2] = {stored("a/data.pkl", bytes, length + sizeof more - 1), stored("a/data/0", data, sizeof data)};
    const char *path = make_zip("o.pth", entries, 2);
    assert_refused(&test, DIO_ERR_INPUT, "holds a whole module (foo.Bar)", read_all(&test, path));
    assert_ok(&test, dio_weights_read(&test.ctx, path, &(struct dio_read_options){.allow_opaque = true}, &weights));
    assert_int_equal(weights.other_count, 2);
    assert_string_equal(weights.others[0].path, "x");
    assert_string_equal(weights.others[0].type, "foo.Bar");
    assert_string_equal(weights.others[1].text, "3");
    dio_weights_free(&test.ctx, &weights);
    assert_refused(&test, DIO_ERR_USAGE, "--key",
                   dio_weights_read(&test.ctx, test_source_path("format/golden/zip_nested.pth"),
                                    &(struct dio_read_options){.key = "nothing"}, &weights));
    assert_ok(&test, dio_weights_read(&test.ctx, test_source_path("format/golden/zip_nested.pth"),
                                      &(struct dio_read_options){.key = "state_dict"}, &weights));
    assert_int_equal(weights.count, 5);
    dio_weights_free(&test.ctx, &weights);
    test_end(&test);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(goldens_have_pytorchs_values), cmocka_unit_test(dicts_are_chosen), cmocka_unit_test(goldens_survive_every_failing_allocation),
        cmocka_unit_test(deflated_entries_are_held_to_what_they_declare), cmocka_unit_test(unpacking_has_limits),
        cmocka_unit_test(pickles_give_objects), cmocka_unit_test(pickles_refuse), cmocka_unit_test(unknown_names_may_be_opaque),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
