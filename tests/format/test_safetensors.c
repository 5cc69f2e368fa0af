/* What the vectors of tests/../robustness do not hold: values, writing, shards, memory that runs out. */
#include "read_all.h"

/* A file from the text of its header and some data. */
static const char *make(const char *name, const char *header, const void *data, size_t size)
{
    unsigned char bytes[4096];
    size_t length = strlen(header);
    for (int i = 0; i < 8; i++) bytes[i] = (unsigned char)(length >> (8 * i));
    memcpy(bytes + 8, header, length);
    if (size) memcpy(bytes + 8 + length, data, size);
    const char *path = test_in(&folder, name);
    test_write(path, bytes, 8 + length + size);
    return path;
}

static void values_are_those_of_the_file(void **state)
{
    (void)state;
    struct test_ctx test;
    struct dio_weights weights;
    test_begin(&test);
    float data[4] = {1.5f, -2, 0.25f, 1e20f};
    unsigned char bytes[17];
    memcpy(bytes, "\x07", 1);
    memcpy(bytes + 1, data, 16); /* unaligned by a byte */
    const char *path = make("a.safetensors",
                            "{\"n\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,1]},\"__metadata__\":{\"b\":\"2\",\"a\":\"1\\n\"},"
                            "\"w\":{\"data_offsets\":[1,17],\"shape\":[2,2],\"dtype\":\"F32\",\"more\":[{}]}}",
                            bytes, sizeof bytes);
    assert_ok(&test, dio_weights_read(&test.ctx, path, NULL, &weights));
    assert_int_equal(weights.count, 2);
    assert_string_equal(weights.format, "safetensors");
    const struct dio_weight *w = dio_weights_find(&weights, "w");
    assert_non_null(w);
    assert_true(dio_weight_is(w, 2, (const int64_t[]){2, 2}) && w->dtype == DIO_F32);
    float out[4];
    assert_ok(&test, dio_weight_to_f32(&test.ctx, &weights, w, out));
    assert_floats_same(out, data, 4);
    assert_ok(&test, dio_weight_to_f32(&test.ctx, &weights, dio_weights_find(&weights, "n"), out));
    assert_true(out[0] == 7);
    assert_null(dio_weights_find(&weights, "x"));
    assert_string_equal(dio_weights_meta(&weights, "a"), "1\n");
    assert_string_equal(weights.metadata[0].key, "a"); /* sorted */
    dio_weights_free(&test.ctx, &weights);
    test_end(&test);
}

/* Row S20: what is mapped is asked for before it is used. */
static void a_file_that_changes_is_noticed(void **state)
{
    (void)state;
    struct test_ctx test;
    struct dio_weights weights;
    struct dio_blob blob;
    float out[1];
    test_begin(&test);
    const char header[] = "{\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}";
    const char *path = make("s20.safetensors", header, "1234", 4);
    assert_ok(&test, dio_blob_read(&test.ctx, path, DIO_READ_MAP, 0, NULL, &blob));
    dio_weights_init(&weights, &test.ctx);
    assert_ok(&test, dio_format_find("safetensors")->read(&test.ctx, path, &blob, &(struct dio_read_options){0}, &weights));
    assert_ok(&test, dio_weight_to_f32(&test.ctx, &weights, &weights.items[0], out));
    assert_int_equal(truncate(path, 20), 0);
    assert_refused(&test, DIO_ERR_INPUT, "changed while it was read",
                   dio_weight_to_f32(&test.ctx, &weights, &weights.items[0], out));
    dio_weights_free(&test.ctx, &weights);
    test_end(&test);
}

static void types_that_do_not_compute_are_refused_as_weights(void **state)
{
    (void)state;
    struct test_ctx test;
    struct dio_weights weights;
    float out[2];
    test_begin(&test);
    const char *path = make("f8.safetensors", "{\"q\":{\"dtype\":\"F8_E4M3\",\"shape\":[2],\"data_offsets\":[0,2]}}", "ab", 2);
    assert_ok(&test, dio_weights_read(&test.ctx, path, NULL, &weights));
    assert_refused(&test, DIO_ERR_INPUT, "tensor q: dtype F8_E4M3 cannot be used as a weight",
                   dio_weight_to_f32(&test.ctx, &weights, &weights.items[0], out));
    dio_weights_free(&test.ctx, &weights);
    test_end(&test);
}

static void messages_name_row_and_place(void **state)
{
    (void)state;
    struct test_ctx test;
    test_begin(&test);
    static const struct {
        const char *header, *words, *code;
    } cases[] = {
        {"{\"w\":{\"dtype\":\"F32\",\"shape\":[1,-2],\"data_offsets\":[0,4]}}", "tensor w: shape: not a whole number (offset 39)", "S10"},
        {"{\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,8]}}", "tensor w: shape needs 4 bytes, data_offsets give 8", "S14"},
        {"{\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}} x", "header is not valid JSON", "S6"},
        {"{\"__metadata__\":{\"a\":1}}", "__metadata__ must map strings to strings", "S9"},
        {"{\"__metadata__\":{\"a\":\"1\",\"a\":\"1\"}}", "a appears twice", "S8"},
        {"{\"w\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,12]}}", "truncated: tensor w needs bytes 63..75, the file ends at 71", "S3"},
        {"{\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", "4 extra bytes after the last tensor (offset 66)", "S4"},
        {"{\"w\":{\"dtype\":\"F32\",\"shape\":[0,4611686018427387904,4],\"data_offsets\":[0,0]}}", "tensor w: shape is too large", "S12"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *path = make("m.safetensors", cases[i].header, "12345678", 8);
        dio_status status = read_all(&test, path);
        if (status != DIO_ERR_INPUT || !strstr(test_error(&test), cases[i].words)) print_error("case %zu: %s\n", i, test_error(&test));
        assert_int_equal(status, DIO_ERR_INPUT);
        assert_non_null(strstr(test_error(&test), cases[i].words));
        assert_string_equal(test.ctx.error.code, cases[i].code);
        dio_ctx_clear_error(&test.ctx);
    }
    assert_refused(&test, DIO_ERR_ENV, "", read_all(&test, test_in(&folder, "absent.safetensors")));
    test.ctx.limits.max_header = 16;
    assert_refused(&test, DIO_ERR_INPUT, "--max-header 16",
                   read_all(&test, make("h.safetensors", "{\"__metadata__\":{\"a\":\"1\"}}", "", 0)));
    test_end(&test);
}

/* Strided, swapped, scalar and empty items come out as plain ones; equal input gives equal bytes. */
static void written_files_read_back(void **state)
{
    (void)state;
    struct test_ctx test;
    struct dio_weights weights;
    test_begin(&test);
    const float numbers[6] = {1, 2, 3, 4, 5, 65519};
    const uint16_t swapped_half[1] = {0x003c}; /* 1.0 in the other order */
    const int64_t count = 7, dims[] = {3, 2}, strides[] = {1, 3}, none[] = {0, 4}, one[] = {1};
    struct dio_weight items[] = {
        dio_weight_of("b.weight", DIO_F32, dims, 2, numbers), dio_weight_of("a.count", DIO_I64, NULL, 0, &count),
        dio_weight_of("empty", DIO_F32, none, 2, numbers), dio_weight_of("half", DIO_F16, one, 1, swapped_half),
    };
    items[0].strides = strides;
    items[3].swapped = true;
    const struct dio_metadata metadata[] = {{"z", "\"q\"\x01\t", 1, 5}, {"format", "pt", 6, 2}};
    struct dio_save save = {items, 4, metadata, 2, DIO_F32};
    const char *names[] = {"w.safetensors", "w.pth"};
    for (int f = 0; f < 2; f++) {
        const char *path = test_in(&folder, names[f]);
        assert_ok(&test, dio_weights_write(&test.ctx, path, &save));
        assert_ok(&test, dio_weights_read(&test.ctx, path, NULL, &weights));
        float out[6];
        const float expected[] = {1, 4, 2, 5, 3, 65519};
        assert_ok(&test, dio_weight_to_f32(&test.ctx, &weights, dio_weights_find(&weights, "b.weight"), out));
        assert_floats_same(out, expected, 6);
        assert_ok(&test, dio_weight_to_f32(&test.ctx, &weights, dio_weights_find(&weights, "half"), out));
        assert_true(out[0] == 1);
        assert_int_equal(dio_weights_find(&weights, "empty")->elements, 0);
        assert_int_equal(dio_weights_find(&weights, "a.count")->dtype, DIO_I64);
        if (f == 0) assert_string_equal(dio_weights_meta(&weights, "z"), "\"q\"\x01\t");
        dio_weights_free(&test.ctx, &weights);
        size_t length, again_length;
        char *bytes = test_read(path, &length);
        assert_ok(&test, dio_weights_write(&test.ctx, path, &save));
        char *again = test_read(path, &again_length);
        assert_int_equal(length, again_length);
        assert_memory_equal(bytes, again, length);
        free(bytes);
        free(again);
    }
    save.floats = DIO_F16;
    const char *path = test_in(&folder, "h.safetensors");
    assert_ok(&test, dio_weights_write(&test.ctx, path, &save));
    assert_ok(&test, dio_weights_read(&test.ctx, path, NULL, &weights));
    uint16_t half[6];
    assert_ok(&test, dio_weight_copy(&test.ctx, &weights, dio_weights_find(&weights, "b.weight"), half));
    assert_int_equal(half[5], 0x7bff); /* 65519 rounds to 65504 */
    dio_weights_free(&test.ctx, &weights);
    items[1].name = "b.weight";
    items[1].name_length = 8;
    assert_refused(&test, DIO_ERR_INTERNAL, "two tensors", dio_weights_write(&test.ctx, path, &save));
    assert_refused(&test, DIO_ERR_USAGE, ".safetensors", dio_weights_write(&test.ctx, test_in(&folder, "w.bin"), &save));
    test_end(&test);
}

static dio_status write_body(struct test_ctx *test, void *path)
{
    static const float numbers[] = {1, 2};
    static const int64_t dims[] = {2};
    struct dio_weight items[] = {dio_weight_of("x", DIO_F32, dims, 1, numbers), dio_weight_of("y", DIO_F32, dims, 1, numbers)};
    const struct dio_metadata metadata[] = {{"format", "pt", 6, 2}};
    struct dio_save save = {items, 2, metadata, 1, DIO_BF16};
    return dio_weights_write(&test->ctx, path, &save);
}

static void memory_may_run_out_anywhere(void **state)
{
    (void)state;
    char path[4096];
    snprintf(path, sizeof path, "%s", test_source_path("format/golden/plain.safetensors"));
    test_fail_each_allocation(read_all_body, path);
    snprintf(path, sizeof path, "%s", test_in(&folder, "out.safetensors"));
    test_fail_each_allocation(write_body, path);
    snprintf(path, sizeof path, "%s", test_in(&folder, "out.pth"));
    test_fail_each_allocation(write_body, path);
}

static void shards_are_one_list(void **state)
{
    (void)state;
    struct test_ctx test;
    struct dio_weights weights;
    test_begin(&test);
    make("one.safetensors", "{\"__metadata__\":{\"format\":\"pt\"},\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", "\0\0\x80\x3f", 4);
    make("two.safetensors", "{\"__metadata__\":{\"format\":\"pt\"},\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]}}", "\1\2", 2);
    const char index[] = "{\"metadata\":{\"total_size\":6},\"weight_map\":{\"a\":\"one.safetensors\",\"b\":\"two.safetensors\"}}";
    const char config[] = "{\"architecture\":\"resnet18\",\"num_classes\":2,\"crop_pct\":null,\"pretrained_cfg\":"
                          "{\"input_size\":[3,32,48],\"mean\":[0.5,0.25,1],\"std\":[1,1,2],\"interpolation\":\"bicubic\","
                          "\"crop_pct\":0.9,\"label_names\":[\"cat\",\"dog\"],\"classifier\":\"fc\",\"tag\":\"x\"},"
                          "\"model_args\":{\"norm_eps\":0.001,\"pad_type\":\"same\"},\"unknown\":[1]}";
    test_write(test_in(&folder, "model.safetensors.index.json"), index, sizeof index - 1);
    test_write(test_in(&folder, "config.json"), config, sizeof config - 1);
    assert_ok(&test, dio_weights_read(&test.ctx, folder.path, NULL, &weights));
    assert_int_equal(weights.count, 2);
    assert_int_equal(weights.metadata_count, 1);
    uint8_t bytes[2];
    assert_ok(&test, dio_weight_copy(&test.ctx, &weights, dio_weights_find(&weights, "b"), bytes));
    assert_true(bytes[0] == 1 && bytes[1] == 2);
    dio_weights_free(&test.ctx, &weights);

    struct dio_origin_config origin;
    bool found;
    assert_ok(&test, dio_read_config(&test.ctx, folder.path, &origin, &found));
    assert_true(found && origin.library == DIO_ORIGIN_TIMM && origin.num_classes == 2 && origin.label_count == 2);
    assert_string_equal(origin.architecture, "resnet18");
    assert_string_equal(origin.labels[1], "dog");
    assert_string_equal(origin.interpolation, "bicubic");
    assert_string_equal(origin.padding, "same");
    assert_string_equal(origin.classifier, "fc");
    assert_true(origin.input_size[0] == 3 && origin.input_size[1] == 32 && origin.input_size[2] == 48);
    assert_true(origin.mean_count == 3 && origin.mean[1] == 0.25 && origin.std[2] == 2);
    assert_true(origin.crop_pct == 0.9 && origin.bn_eps == 0.001);
    dio_origin_free(&origin);
    test_fail_each_allocation(read_all_body, folder.path);

    const char wrong[] = "{\"architecture\":\"resnet18\",\"num_classes\":3,\"label_names\":[\"cat\",\"dog\"]}";
    test_write(test_in(&folder, "config.json"), wrong, sizeof wrong - 1);
    assert_refused(&test, DIO_ERR_INPUT, "2 label names for 3 classes", dio_read_config(&test.ctx, folder.path, &origin, &found));
    dio_origin_free(&origin);
    test_end(&test);
}

static void safetensors_goes_before_pickles(void **state)
{
    (void)state;
    struct test_ctx test;
    test_begin(&test);
    const char header[] = "{\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}";
    const char config[] = "{\"architecture\":\"resnet18\"}";
    assert_int_equal(unlink(test_in(&folder, "model.safetensors.index.json")), 0);
    make("model.safetensors", header, "1234", 4);
    test_write(test_in(&folder, "pytorch_model.bin"), "x", 1); /* never looked at */
    test_write(test_in(&folder, "config.json"), config, sizeof config - 1);
    assert_ok(&test, read_all(&test, folder.path));
    assert_non_null(strstr(test.said, "note: using model.safetensors"));
    assert_int_equal(unlink(test_in(&folder, "config.json")), 0);
    assert_refused(&test, DIO_ERR_INPUT, "no config.json", read_all(&test, folder.path));
    /* weights of our own say themselves what they are */
    make("model.safetensors", "{\"__metadata__\":{\"diopter.version\":\"1\"}}", "", 0);
    assert_ok(&test, read_all(&test, folder.path));
    assert_int_equal(unlink(test_in(&folder, "model.safetensors")), 0);
    test_write(test_in(&folder, "config.json"), config, sizeof config - 1);
    assert_refused(&test, DIO_ERR_INPUT, "not a PyTorch file", read_all(&test, folder.path));
    test_end(&test);
}

static void transformers_configs_are_read(void **state)
{
    (void)state;
    struct test_ctx test;
    struct dio_origin_config origin;
    bool found;
    test_begin(&test);
    const char config[] = "\xef\xbb\xbf{\"model_type\":\"resnet\",\"architectures\":[\"ResNetForImageClassification\"],"
                          "\"id2label\":{\"1\":\"dog\",\"0\":\"cat\"},\"label2id\":{\"cat\":0,\"dog\":\"1\"},\"image_size\":64}";
    const char preprocessor[] = "{\"do_resize\":true,\"size\":{\"shortest_edge\":256},\"resample\":3,\"do_center_crop\":true,"
                                "\"crop_size\":{\"height\":224,\"width\":200},\"do_normalize\":true,\"image_mean\":[0.5,0.5,0.5],"
                                "\"image_std\":[0.25,0.5,0.5],\"rescale_factor\":0.00392156862745098}";
    test_write(test_in(&folder, "config.json"), config, sizeof config - 1);
    test_write(test_in(&folder, "preprocessor_config.json"), preprocessor, sizeof preprocessor - 1);
    assert_ok(&test, dio_read_config(&test.ctx, test_in(&folder, "one.safetensors"), &origin, &found)); /* beside the file */
    assert_true(found && origin.library == DIO_ORIGIN_TRANSFORMERS && origin.num_classes == 2);
    assert_string_equal(origin.labels[0], "cat");
    assert_string_equal(origin.model_type, "resnet");
    assert_string_equal(origin.interpolation, "bicubic");
    assert_true(origin.resize_shortest == 256 && origin.crop_height == 224 && origin.crop_width == 200);
    assert_true(origin.std[0] == 0.25 && origin.rescale == 0.00392156862745098 && origin.do_center_crop);
    dio_origin_free(&origin);
    const char stray[] = "{\"name\":\"something else\"}";
    test_write(test_in(&folder, "config.json"), stray, sizeof stray - 1);
    assert_ok(&test, dio_read_config(&test.ctx, test_in(&folder, "one.safetensors"), &origin, &found));
    assert_false(found);
    dio_origin_free(&origin);
    assert_refused(&test, DIO_ERR_INPUT, "model_type", dio_read_config(&test.ctx, folder.path, &origin, &found));
    dio_origin_free(&origin);
    test_end(&test);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_those_of_the_file), cmocka_unit_test(a_file_that_changes_is_noticed),
        cmocka_unit_test(types_that_do_not_compute_are_refused_as_weights),
        cmocka_unit_test(messages_name_row_and_place), cmocka_unit_test(written_files_read_back),
        cmocka_unit_test(memory_may_run_out_anywhere), cmocka_unit_test(shards_are_one_list),
        cmocka_unit_test(safetensors_goes_before_pickles), cmocka_unit_test(transformers_configs_are_read),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
