/* CIFAR's records: written here, read back as pictures. */
#include "make.h"

enum { PIXELS = 3072, RECORD = PIXELS + 1 };

static void write_records(const char *name, int first, int count, size_t extra)
{
    static unsigned char bytes[8 * RECORD];
    for (int i = 0; i < count; i++) {
        bytes[i * RECORD] = (unsigned char)(first + i);
        for (int k = 0; k < PIXELS; k++) bytes[i * RECORD + 1 + k] = (unsigned char)(k / 1024 * 80 + k % 61 + i);
    }
    test_write(test_in(&folder, name), bytes, (size_t)count * RECORD + extra);
}

static void write_names(int count)
{
    char text[256] = "\xef\xbb\xbf"; /* a byte order mark is no part of a name */
    for (int i = 0; i < count; i++) {
        char line[32];
        snprintf(line, sizeof line, "class %d\r\n", 9 - i); /* not in alphabetical order */
        strcat(text, line);
    }
    make_text("batches.meta.txt", text);
}

static void test_records(void **state)
{
    (void)state;
    write_names(10);
    write_records("data_batch_1.bin", 0, 4, 0);
    write_records("data_batch_2.bin", 4, 2, 0);
    write_records("test_batch.bin", 2, 4, 0);
    struct dio_dataset *dataset;
    assert_ok(&test, dio_dataset_open(&test.ctx, folder.path, train_options(), &dataset));
    assert_string_equal(dio_dataset_layout(dataset), "cifar");
    assert_int_equal(dio_dataset_count(dataset), 10);
    assert_string_equal(dio_dataset_class(dataset, 0), "class 9");
    assert_string_equal(dio_dataset_class(dataset, 3), "class 6");
    assert_int_equal(dio_dataset_split_count(dataset, DIO_SPLIT_TEST), 4);
    assert_string_equal(dio_dataset_path(dataset, 5), "data_batch_2.bin#1");
    assert_int_equal(dio_dataset_item(dataset, 5)->label, 5);
    struct dio_picture picture = {0};
    struct dio_decode_options options = {0};
    assert_ok(&test, dio_dataset_decode(dataset, &test.ctx, 5, &options, &picture));
    assert_int_equal(picture.width, 32);
    assert_int_equal(picture.height, 32);
    assert_int_equal(picture.channels, 3);
    const unsigned char *pixels = picture.data;
    for (int i = 0; i < 1024; i++) {
        for (int c = 0; c < 3; c++) assert_int_equal(pixels[3 * i + c], (unsigned char)(c * 80 + (c * 1024 + i) % 61 + 1));
    }
    dio_picture_free(&test.ctx, &picture);
    dio_dataset_free(dataset);
}

static void test_models(void **state)
{
    (void)state;
    write_names(10);
    write_records("data_batch_1.bin", 0, 4, 0);
    write_records("test_batch.bin", 0, 4, 0);
    const char *const indices[] = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"};
    const char *const turned[] = {"class 0", "class 1", "class 2", "class 3", "class 4", "class 5", "class 6", "class 7", "class 8", "class 9"};
    struct dio_dataset_options options = {.labels_wanted = true, .model_classes = indices, .n_model_classes = 10};
    struct dio_dataset *dataset;
    assert_ok(&test, dio_dataset_open(&test.ctx, folder.path, &options, &dataset));
    assert_int_equal(dio_dataset_item(dataset, 3)->label, 3);
    dio_dataset_free(dataset);
    options.model_classes = turned;
    assert_ok(&test, dio_dataset_open(&test.ctx, folder.path, &options, &dataset));
    assert_int_equal(dio_dataset_item(dataset, 3)->label, 6); /* by name */
    dio_dataset_free(dataset);
    options.model_classes = indices + 1;
    options.n_model_classes = 9;
    assert_refused(&test, DIO_ERR_INPUT, "is not one of the 9 classes of the model", dio_dataset_open(&test.ctx, folder.path, &options, &dataset));
}

static void test_refused(void **state)
{
    (void)state;
    struct dio_dataset *dataset;
    write_names(9);
    write_records("test_batch.bin", 0, 2, 0);
    write_records("data_batch_1.bin", 0, 2, 0);
    assert_refused(&test, DIO_ERR_INPUT, "9 class names, expected 10", dio_dataset_open(&test.ctx, folder.path, train_options(), &dataset));
    write_names(10);
    write_records("data_batch_1.bin", 9, 2, 0);
    assert_refused(&test, DIO_ERR_INPUT, "record 1: label 10", dio_dataset_open(&test.ctx, folder.path, train_options(), &dataset));
    write_records("data_batch_1.bin", 0, 2, 1);
    assert_refused(&test, DIO_ERR_INPUT, "are not a number of records", dio_dataset_open(&test.ctx, folder.path, train_options(), &dataset));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)
    const struct CMUnitTest tests[] = {TEST(test_records), TEST(test_models), TEST(test_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
