/* Every system call of a write fails once: the file under its name is the old one or the new one, whole; no temporary file and
 * no open descriptor stay behind; the failure is told.  The calls are wrapped by the linker (tests.cmake). */
#include <dirent.h>
#include <errno.h>

#include "support.h"

static int calls, fail_at, fail_with;
static bool shorten; /* write: half of what was asked for, in place of a failure */

static bool fails(void)
{
    return ++calls == fail_at;
}

ssize_t __real_write(int fd, const void *bytes, size_t length);
int __real_fsync(int fd);
int __real_close(int fd);
int __real_rename(const char *from, const char *to);
int __real_open(const char *path, int flags, int mode);
ssize_t __wrap_write(int fd, const void *bytes, size_t length);
int __wrap_fsync(int fd);
int __wrap_close(int fd);
int __wrap_rename(const char *from, const char *to);
int __wrap_open(const char *path, int flags, int mode);

ssize_t __wrap_write(int fd, const void *bytes, size_t length)
{
    if (!fails()) return __real_write(fd, bytes, length);
    if (shorten && length > 1) return __real_write(fd, bytes, length / 2);
    errno = fail_with;
    return -1;
}

int __wrap_fsync(int fd)
{
    if (!fails()) return __real_fsync(fd);
    errno = fail_with;
    return -1;
}

int __wrap_close(int fd)
{
    int result = __real_close(fd);
    if (!fails()) return result;
    errno = fail_with;
    return -1;
}

int __wrap_rename(const char *from, const char *to)
{
    if (!fails()) return __real_rename(from, to);
    errno = fail_with;
    return -1;
}

int __wrap_open(const char *path, int flags, int mode)
{
    if (!fails()) return __real_open(path, flags, mode);
    errno = fail_with;
    return -1;
}

static int count_entries(const char *path)
{
    int count = 0;
    DIR *folder = opendir(path);
    assert_non_null(folder);
    while (readdir(folder)) count++;
    closedir(folder);
    return count;
}

enum { SIZE = 700000 };

/* One write with the n-th call failing; false: there was no n-th call. */
static bool write_with_fault(const struct test_folder *folder, int n, int error, const char *text)
{
    struct test_ctx test;
    char path[512];
    size_t length;
    snprintf(path, sizeof path, "%s/file", folder->path);
    test_write(path, "old", 3);
    test_begin(&test);
    int descriptors = count_entries("/proc/self/fd");
    calls = 0;
    fail_at = n;
    fail_with = error;
    dio_status status = dio_write_whole(&test.ctx, path, text, SIZE);
    bool reached = calls >= n;
    fail_at = 0;
    assert_int_equal(count_entries("/proc/self/fd"), descriptors);
    assert_int_equal(count_entries(folder->path), 3); /* with . and .. */
    char *now = test_read(path, &length);
    bool is_old = length == 3 && memcmp(now, "old", 3) == 0, is_new = length == SIZE && memcmp(now, text, SIZE) == 0;
    free(now);
    assert_true(is_old || is_new);
    if (status == DIO_OK) assert_true(is_new);
    else assert_int_equal(test.ctx.error.status, DIO_ERR_ENV);
    if (status != DIO_OK) assert_non_null(strstr(test_error(&test), "file: "));
    /* What may be passed over: an open or fsync of the folder where a file system knows none, and closing a read-only one. */
    if (status == DIO_OK && reached && error == EIO && !shorten) assert_true(n >= calls - 2);
    test_end(&test);
    return reached;
}

static void test_faults(void **state)
{
    (void)state;
    static const int errors[] = {EIO, ENOSPC, EINVAL, EINTR, EACCES};
    struct test_folder folder;
    char *text = malloc(SIZE);
    memset(text, 'n', SIZE);
    test_folder_make(&folder);
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        int n = 1;
        while (write_with_fault(&folder, n, errors[i], text)) n++;
        assert_true(n > 6);
    }
    shorten = true;
    for (int n = 1; write_with_fault(&folder, n, EIO, text); n++) {
    }
    shorten = false;
    test_folder_remove(&folder);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_faults)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
