/* Tars read in place: offsets, long names, links, hostile headers. */
#include "make.h"

#include "data/files.h"

struct tar {
    unsigned char bytes[64 * 1024];
    size_t used;
};

static void finish_header(unsigned char *header)
{
    memset(header + 148, ' ', 8);
    unsigned sum = 0;
    for (int i = 0; i < 512; i++) sum += header[i];
    snprintf((char *)header + 148, 8, "%06o", sum);
}

static void add(struct tar *tar, char type, const char *name, const char *target, const void *data, size_t size)
{
    unsigned char *header = tar->bytes + tar->used;
    memset(header, 0, 512);
    strncpy((char *)header, name, 99);
    snprintf((char *)header + 100, 8, "0000644");
    snprintf((char *)header + 108, 8, "0000000");
    snprintf((char *)header + 116, 8, "0000000");
    snprintf((char *)header + 124, 12, "%011o", (unsigned)size);
    snprintf((char *)header + 136, 12, "00000000000");
    header[156] = (unsigned char)type;
    if (target) strncpy((char *)header + 157, target, 99);
    memcpy(header + 257, "ustar  ", 8);
    finish_header(header);
    tar->used += 512;
    memset(tar->bytes + tar->used, 0, (size + 511) / 512 * 512);
    if (size) memcpy(tar->bytes + tar->used, data, size);
    tar->used += (size + 511) / 512 * 512;
}

static const char *save(const struct tar *tar)
{
    static unsigned char whole[sizeof tar->bytes + 1024];
    memcpy(whole, tar->bytes, tar->used);
    memset(whole + tar->used, 0, 1024);
    test_write(test_in(&folder, "t.tar"), whole, tar->used + 1024);
    return test_in(&folder, "t.tar");
}

static const char picture[] = "P6 1 1 255\nabc";

static void test_layout(void **state)
{
    (void)state;
    struct tar tar = {.used = 0};
    char longest[180];
    memset(longest, 'n', sizeof longest);
    memcpy(longest, "./top/train/cat/", 16);
    strcpy(longest + 170, ".ppm");
    add(&tar, '5', "top/", NULL, NULL, 0);
    add(&tar, '0', "top/train/dog/2.ppm", NULL, "P6 1 1 255\nxyz", 14);
    add(&tar, 'L', "././@LongLink", NULL, longest, strlen(longest) + 1);
    add(&tar, '0', "cut", NULL, picture, 14);
    add(&tar, '0', "top/val/cat/1.ppm", NULL, "P6 1 1 255\nold", 14);
    add(&tar, '0', "top/val/cat/1.ppm", NULL, "P6 1 1 255\nnew", 14);
    add(&tar, '0', "top/val/dog/9.ppm", NULL, picture, 14);
    add(&tar, '0', "top/.hidden/9.ppm", NULL, picture, 14);
    add(&tar, '2', "top/val/dog/link.ppm", "9.ppm", NULL, 0);
    const char pax[] = "32 path=top/train/cat/caf\xC3\xA9.ppm\n";
    add(&tar, 'x', "pax", NULL, pax, strlen(pax));
    add(&tar, '0', "cut2", NULL, picture, 14);
    struct dio_dataset *dataset;
    assert_ok(&test, dio_dataset_open(&test.ctx, save(&tar), train_options(), &dataset));
    assert_true(dio_dataset_in_tar(dataset));
    assert_int_equal(dio_dataset_count(dataset), 5);
    assert_string_equal(dio_dataset_path(dataset, 0), "train/cat/caf\xC3\xA9.ppm");
    assert_string_equal(dio_dataset_path(dataset, 1), longest + 6);
    assert_string_equal(dio_dataset_path(dataset, 2), "train/dog/2.ppm");
    struct dio_blob bytes;
    assert_ok(&test, dio_dataset_read(dataset, &test.ctx, 2, &bytes));
    assert_memory_equal(bytes.data, "P6 1 1 255\nxyz", 14);
    dio_blob_free(&test.ctx, &bytes);
    assert_ok(&test, dio_dataset_read(dataset, &test.ctx, 3, &bytes));
    assert_memory_equal(bytes.data, "P6 1 1 255\nnew", 14); /* the later of two counts */
    dio_blob_free(&test.ctx, &bytes);
    char shown[1024];
    dio_dataset_display(dataset, 2, shown, sizeof shown);
    assert_non_null(strstr(shown, "t.tar/top/train/dog/2.ppm"));
    dio_dataset_free(dataset);
}

static void test_hard_links(void **state)
{
    (void)state;
    struct tar tar = {.used = 0};
    add(&tar, '0', "train/cat/1.ppm", NULL, picture, 14);
    add(&tar, '0', "train/dog/1.ppm", NULL, picture, 14);
    add(&tar, '1', "val/cat/1.ppm", "train/cat/1.ppm", NULL, 0);
    struct dio_dataset *dataset;
    assert_refused(&test, DIO_ERR_INPUT, "train/cat/1.ppm and val/cat/1.ppm are the same file",
                   dio_dataset_open(&test.ctx, save(&tar), train_options(), &dataset));
    add(&tar, '5', "train/owl/", NULL, NULL, 0);
    assert_refused(&test, DIO_ERR_INPUT, "class \"owl\" has no pictures", dio_dataset_open(&test.ctx, save(&tar), train_options(), &dataset));
    add(&tar, '1', "val/cat/2.ppm", "nowhere", NULL, 0);
    assert_refused(&test, DIO_ERR_INPUT, "links to \"nowhere\"", dio_dataset_open(&test.ctx, save(&tar), train_options(), &dataset));
}

static void test_hostile(void **state)
{
    (void)state;
    struct dio_dataset *dataset;
    struct tar tar = {.used = 0};
    add(&tar, '0', "a/../../etc/passwd", NULL, picture, 14);
    assert_refused(&test, DIO_ERR_INPUT, "leaves the archive", dio_dataset_open(&test.ctx, save(&tar), train_options(), &dataset));
    tar.used = 0;
    add(&tar, '0', "cat/1.ppm", NULL, picture, 14);
    snprintf((char *)tar.bytes + 124, 12, "%011o", 1 << 29);
    finish_header(tar.bytes);
    assert_refused(&test, DIO_ERR_INPUT, "tar", dio_dataset_open(&test.ctx, save(&tar), train_options(), &dataset));
    char deep[600] = "";
    for (int i = 0; i < 66; i++) strcat(deep, "d/");
    tar.used = 0;
    add(&tar, 'L', "././@LongLink", NULL, deep, strlen(deep) + 1);
    add(&tar, '0', "cut", NULL, picture, 14);
    assert_refused(&test, DIO_ERR_INPUT, "nested deeper", dio_dataset_open(&test.ctx, save(&tar), train_options(), &dataset));
    test_write(test_in(&folder, "x.tar"), "\x1f\x8b\x08 this is gzip", 16);
    assert_refused(&test, DIO_ERR_INPUT, "compressed (gzip)",
                   dio_dataset_open(&test.ctx, test_in(&folder, "x.tar"), train_options(), &dataset));
}

static dio_status open_and_free(struct test_ctx *poor, void *arg)
{
    struct dio_dataset *dataset = NULL;
    dio_status status = dio_dataset_open(&poor->ctx, arg, train_options(), &dataset);
    dio_dataset_free(dataset);
    return status;
}

static void test_memory(void **state)
{
    (void)state;
    struct tar tar = {.used = 0};
    add(&tar, '0', "train/cat/1.ppm", NULL, picture, 14);
    add(&tar, '0', "train/dog/1.ppm", NULL, picture, 14);
    add(&tar, '1', "train/cat/2.ppm", "train/cat/1.ppm", NULL, 0);
    char path[1024];
    snprintf(path, sizeof path, "%s", save(&tar));
    test_fail_each_allocation(open_and_free, path);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)
    const struct CMUnitTest tests[] = {TEST(test_layout), TEST(test_hard_links), TEST(test_hostile), TEST(test_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
