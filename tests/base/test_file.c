#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "support.h"

static void test_reading(void **state)
{
    (void)state;
    struct test_ctx test;
    struct test_folder folder;
    struct dio_blob blob;
    test_begin(&test);
    test_folder_make(&folder);
    const char *path = test_in(&folder, "a.bin");
    test_write(path, "0123456789", 10);
    for (int mode = DIO_READ_COPY; mode <= DIO_READ_MAP; mode++) {
        assert_ok(&test, dio_blob_read(&test.ctx, path, (enum dio_read_mode)mode, 0, NULL, &blob));
        assert_int_equal(blob.size, 10);
        assert_memory_equal(blob.data, "0123456789", 10);
        assert_int_equal(blob.mapped, mode == DIO_READ_MAP);
        assert_true(dio_blob_unchanged(&blob));
        if (blob.mapped) {
            assert_int_equal(truncate(path, 5), 0);
            assert_false(dio_blob_unchanged(&blob));
        }
        dio_blob_free(&test.ctx, &blob);
    }
    assert_refused(&test, DIO_ERR_INPUT, "5 bytes, above --max-file 4; give a larger --max-file to read it",
                   dio_blob_read(&test.ctx, path, DIO_READ_COPY, 4, "--max-file", &blob));
    assert_refused(&test, DIO_ERR_ENV, "not a regular file", dio_blob_read(&test.ctx, folder.path, DIO_READ_COPY, 0, NULL, &blob));
    assert_refused(&test, DIO_ERR_ENV, "not a regular file", dio_blob_read(&test.ctx, "/dev/zero", DIO_READ_COPY, 0, NULL, &blob));
    assert_refused(&test, DIO_ERR_ENV, "none: no such file or directory", dio_blob_read(&test.ctx, test_in(&folder, "none"), DIO_READ_COPY, 0, NULL, &blob));
    const char *fifo = test_in(&folder, "fifo");
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_refused(&test, DIO_ERR_ENV, "not a regular file", dio_blob_read(&test.ctx, fifo, DIO_READ_COPY, 0, NULL, &blob));
    int fd = open(path, O_RDONLY);
    assert_ok(&test, dio_blob_pread(&test.ctx, path, fd, 1, 3, &blob));
    assert_memory_equal(blob.data, "123", 4);
    dio_blob_free(&test.ctx, &blob);
    assert_refused(&test, DIO_ERR_ENV, "shrank", dio_blob_pread(&test.ctx, path, fd, 3, 3, &blob));
    close(fd);
    const char *empty = test_in(&folder, "empty");
    test_write(empty, "", 0);
    assert_ok(&test, dio_blob_read(&test.ctx, empty, DIO_READ_MAP, 0, NULL, &blob));
    assert_int_equal(blob.size, 0);
    dio_blob_free(&test.ctx, &blob);
    test_folder_remove(&folder);
    test_end(&test);
}

static size_t files_in(const struct test_folder *folder)
{
    struct dio_ctx ctx = {0};
    struct dio_listing listing;
    assert_int_equal(dio_list_folder(&ctx, folder->path, &listing), DIO_OK);
    size_t count = listing.count;
    dio_listing_free(&ctx, &listing);
    return count;
}

static void holds(const char *path, const char *text)
{
    char *bytes = test_read(path, NULL);
    assert_string_equal(bytes, text);
    free(bytes);
}

static void test_writing(void **state)
{
    (void)state;
    struct test_ctx test;
    struct test_folder folder;
    struct dio_writer writer;
    struct stat st;
    test_begin(&test);
    test_folder_make(&folder);
    const char *path = test_in(&folder, "out");
    assert_ok(&test, dio_write_whole(&test.ctx, path, "one", 3));
    holds(path, "one");
    assert_int_equal(chmod(path, 0640), 0);
    assert_ok(&test, dio_writer_open(&test.ctx, path, &writer));
    assert_ok(&test, dio_writer_put(&writer, "two", 3));
    holds(path, "one"); /* until commit */
    dio_writer_abort(&writer);
    dio_writer_abort(&writer);
    holds(path, "one");
    assert_int_equal(files_in(&folder), 1);
    char *large = malloc(1 << 20);
    memset(large, 'x', 1 << 20);
    assert_ok(&test, dio_writer_open(&test.ctx, path, &writer));
    for (int i = 0; i < 1000; i++) assert_ok(&test, dio_writer_put(&writer, large, 1001));
    assert_ok(&test, dio_writer_put(&writer, large, 1 << 20));
    assert_ok(&test, dio_writer_put(&writer, "end", 3));
    assert_ok(&test, dio_writer_commit(&writer));
    free(large);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_size, 1001000 + (1 << 20) + 3);
    assert_int_equal(st.st_mode & 0777, 0640);
    /* A link is followed. */
    const char *link = test_in(&folder, "link");
    assert_int_equal(symlink("out", link), 0);
    assert_ok(&test, dio_write_whole(&test.ctx, link, "three", 5));
    holds(path, "three");
    assert_int_equal(lstat(link, &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    /* Temporaries of dead processes go, those of living ones stay. */
    pid_t child = fork();
    if (child == 0) _exit(0);
    waitpid(child, NULL, 0);
    char stale[64], living[64];
    snprintf(stale, sizeof stale, "out.tmp-%d", (int)child);
    snprintf(living, sizeof living, "out.tmp-%d", (int)getppid());
    test_write(test_in(&folder, stale), "x", 1);
    test_write(test_in(&folder, living), "x", 1);
    test_write(test_in(&folder, "out.tmp-x1"), "x", 1);
    assert_ok(&test, dio_write_whole(&test.ctx, path, "four", 4));
    assert_false(dio_path_exists(test_in(&folder, stale)));
    assert_true(dio_path_exists(test_in(&folder, living)));
    assert_true(dio_path_exists(test_in(&folder, "out.tmp-x1")));
    assert_refused(&test, DIO_ERR_ENV, "is a folder", dio_write_whole(&test.ctx, folder.path, "", 0));
    assert_refused(&test, DIO_ERR_ENV, "no such file or directory", dio_write_whole(&test.ctx, test_in(&folder, "none/x"), "", 0));
    assert_ok(&test, dio_write_whole(&test.ctx, "/dev/null", "x", 1));
    test_folder_remove(&folder);
    test_end(&test);
}

/* A full disk and a file-size limit: the old file stays, the temporary one goes. */
static void test_no_space(void **state)
{
    (void)state;
    struct test_ctx test;
    struct test_folder folder;
    struct rlimit before, small = {100000, 0};
    test_begin(&test);
    if (access("/dev/full", W_OK) == 0) {
        assert_refused(&test, DIO_ERR_ENV, "/dev/full: no space left on device (wrote 0 of 4 bytes)", dio_write_whole(&test.ctx, "/dev/full", "four", 4));
    }
    test_folder_make(&folder);
    const char *path = test_in(&folder, "out");
    test_write(path, "old", 3);
    char *large = calloc(1, 1 << 20);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small.rlim_max = before.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    dio_status status = dio_write_whole(&test.ctx, path, large, 1 << 20);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_refused(&test, DIO_ERR_ENV, "file too large", status);
    free(large);
    holds(path, "old");
    assert_int_equal(files_in(&folder), 1);
    test_folder_remove(&folder);
    test_end(&test);
}

static void test_streams(void **state)
{
    (void)state;
    struct test_ctx test;
    struct test_folder folder;
    struct dio_stream stream;
    test_begin(&test);
    test_folder_make(&folder);
    const char *path = test_in(&folder, "log");
    assert_ok(&test, dio_stream_open(&test.ctx, path, false, &stream));
    assert_ok(&test, dio_stream_put(&stream, "a\n", 2));
    assert_ok(&test, dio_stream_put(&stream, "b\nunfin", 7));
    assert_ok(&test, dio_stream_close(&stream));
    holds(path, "a\nb\nunfin");
    assert_ok(&test, dio_stream_open(&test.ctx, path, true, &stream));
    assert_ok(&test, dio_stream_put(&stream, "c\n", 2));
    assert_ok(&test, dio_stream_close(&stream));
    holds(path, "a\nb\nc\n");
    char *large = malloc(10001); /* no line end at all, longer than a piece */
    memset(large, 'x', 10001);
    test_write(path, large, 10001);
    assert_ok(&test, dio_stream_open(&test.ctx, path, true, &stream));
    assert_ok(&test, dio_stream_close(&stream));
    holds(path, "");
    large[2] = '\n';
    test_write(path, large, 10001);
    free(large);
    assert_ok(&test, dio_stream_open(&test.ctx, path, true, &stream));
    assert_ok(&test, dio_stream_close(&stream));
    holds(path, "xx\n");
    assert_ok(&test, dio_stream_open(&test.ctx, path, false, &stream));
    assert_ok(&test, dio_stream_close(&stream));
    holds(path, "");
    if (access("/dev/full", W_OK) == 0) {
        assert_ok(&test, dio_stream_open(&test.ctx, "/dev/full", false, &stream));
        assert_refused(&test, DIO_ERR_ENV, "no space left on device", dio_stream_put(&stream, "x", 1));
        assert_ok(&test, dio_stream_close(&stream));
    }
    test_folder_remove(&folder);
    test_end(&test);
}

/* By what is there, not by spelling: links, "..", and outputs that are still to be made. */
static void test_lies_in(void **state)
{
    (void)state;
    struct test_ctx test;
    struct test_folder folder;
    test_begin(&test);
    test_folder_make(&folder);
    assert_ok(&test, dio_mkdirs(&test.ctx, test_in(&folder, "data/a")));
    assert_ok(&test, dio_mkdirs(&test.ctx, test_in(&folder, "other")));
    assert_int_equal(symlink("data", test_in(&folder, "link")), 0);
    static const struct {
        const char *path;
        bool inside;
    } cases[] = {{"data", true},      {"data/new/run", true}, {"link/a/run", true}, {"data/../data/run", true},
                 {"other/run", false}, {"other/new/run", false}, {"data2", false}, {"", false}};
    char data[512];
    snprintf(data, sizeof data, "%s", test_in(&folder, "data"));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bool inside;
        assert_ok(&test, dio_path_lies_in(&test.ctx, test_in(&folder, cases[i].path), data, &inside));
        assert_int_equal(inside, cases[i].inside);
    }
    test_folder_remove(&folder);
    test_end(&test);
}

static void test_paths(void **state)
{
    (void)state;
    static const struct {
        const char *path, *parent, *base;
    } cases[] = {{"a", ".", "a"}, {"a/b", "a", "b"}, {"/a", "/", "a"}, {"a/b/", "a", ""}, {"//a", "/", "a"}, {"a//b", "a", "b"}, {"/", "/", ""}, {"../x", "..", "x"}};
    struct test_ctx test;
    test_begin(&test);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *parent = dio_path_parent(&test.ctx, cases[i].path);
        assert_string_equal(parent, cases[i].parent);
        assert_string_equal(dio_path_base(cases[i].path), cases[i].base);
        dio_free(&test.ctx, parent);
    }
    static const char *const joins[][3] = {{"a", "b", "a/b"}, {"a/", "b", "a/b"}, {"a", "/b", "/b"}, {".", "b", "b"}, {"", "b", "b"}, {"/", "b", "/b"}};
    for (size_t i = 0; i < sizeof joins / sizeof *joins; i++) {
        char *joined = dio_path_join(&test.ctx, joins[i][0], joins[i][1]);
        assert_string_equal(joined, joins[i][2]);
        dio_free(&test.ctx, joined);
    }
    test_end(&test);
}

static void test_folders(void **state)
{
    (void)state;
    struct test_ctx test;
    struct test_folder folder;
    struct dio_listing listing;
    test_begin(&test);
    test_folder_make(&folder);
    const char *deep = test_in(&folder, "x/y//z");
    assert_ok(&test, dio_mkdirs(&test.ctx, deep));
    assert_ok(&test, dio_mkdirs(&test.ctx, deep));
    assert_true(dio_path_is_folder(deep));
    test_write(test_in(&folder, "b"), "", 0);
    test_write(test_in(&folder, "a"), "", 0);
    assert_int_equal(symlink("x", test_in(&folder, "l")), 0);
    assert_int_equal(symlink("nowhere", test_in(&folder, "broken")), 0);
    assert_refused(&test, DIO_ERR_ENV, "a: exists and is not a folder", dio_mkdirs(&test.ctx, test_in(&folder, "a/c")));
    assert_ok(&test, dio_list_folder(&test.ctx, folder.path, &listing));
    static const struct {
        const char *name;
        bool folder;
    } expected[] = {{"a", false}, {"b", false}, {"broken", false}, {"l", true}, {"x", true}};
    assert_int_equal(listing.count, 5);
    for (size_t i = 0; i < 5; i++) {
        assert_string_equal(listing.entries[i].name, expected[i].name);
        assert_int_equal(listing.entries[i].folder, expected[i].folder);
    }
    assert_true(listing.entries[3].inode == listing.entries[4].inode);
    dio_listing_free(&test.ctx, &listing);
    assert_true(dio_same_file(test_in(&folder, "x"), test_in(&folder, "l")));
    assert_false(dio_same_file(test_in(&folder, "a"), test_in(&folder, "b")));
    assert_refused(&test, DIO_ERR_ENV, "no such file", dio_list_folder(&test.ctx, test_in(&folder, "q"), &listing));
    test_folder_remove(&folder);
    test_end(&test);
}

static void test_lock(void **state)
{
    (void)state;
    struct test_ctx test;
    struct test_folder folder;
    int first, second;
    char words[64];
    test_begin(&test);
    test_folder_make(&folder);
    const char *path = test_in(&folder, "lock");
    test_write(path, "99999\nleft behind", 17); /* the file alone is no lock */
    assert_ok(&test, dio_lock(&test.ctx, path, &first));
    snprintf(words, sizeof words, "lock: is in use by process %d", (int)getpid());
    assert_refused(&test, DIO_ERR_ENV, words, dio_lock(&test.ctx, path, &second));
    dio_unlock(first);
    assert_ok(&test, dio_lock(&test.ctx, path, &second));
    dio_unlock(second);
    test_folder_remove(&folder);
    test_end(&test);
}

static dio_status do_everything(struct test_ctx *test, void *arg)
{
    struct test_folder *folder = arg;
    struct dio_ctx *ctx = &test->ctx;
    struct dio_blob blob;
    struct dio_listing listing;
    struct dio_stream stream;
    DIO_PASS(dio_mkdirs(ctx, test_in(folder, "p/q")));
    DIO_PASS(dio_write_whole(ctx, test_in(folder, "p/f"), "text", 4));
    DIO_PASS(dio_blob_read(ctx, test_in(folder, "p/f"), DIO_READ_COPY, 0, NULL, &blob));
    dio_blob_free(ctx, &blob);
    DIO_PASS(dio_list_folder(ctx, folder->path, &listing));
    dio_listing_free(ctx, &listing);
    DIO_PASS(dio_stream_open(ctx, test_in(folder, "p/s"), true, &stream));
    return dio_stream_close(&stream);
}

static void test_memory(void **state)
{
    (void)state;
    struct test_folder folder;
    test_folder_make(&folder);
    test_fail_each_allocation(do_everything, &folder);
    test_folder_remove(&folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reading), cmocka_unit_test(test_writing), cmocka_unit_test(test_no_space), cmocka_unit_test(test_streams),
        cmocka_unit_test(test_lies_in),
        cmocka_unit_test(test_paths),   cmocka_unit_test(test_folders), cmocka_unit_test(test_lock),     cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
