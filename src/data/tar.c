/* Uncompressed tars, listed once through libarchive; members are then read with pread at their offsets. */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"
#include "data/files.h"

enum { BLOCK = 512, CHECKSUM_AT = 148, CHECKSUM_LENGTH = 8 };

bool dio_tar_probe(const unsigned char *bytes, size_t size, const char **compressed)
{
    static const struct {
        const char *magic;
        size_t length;
        const char *name;
    } others[] = {{"\x1f\x8b", 2, "gzip"}, {"\xfd" "7zXZ", 5, "xz"}, {"BZh", 3, "bzip2"}, {"\x28\xb5\x2f\xfd", 4, "zstd"},
                  {"PK\x03\x04", 4, "zip"}, {"7z\xbc\xaf", 4, "7z"}, {"Rar!", 4, "rar"}};
    *compressed = NULL;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        if (size >= others[i].length && memcmp(bytes, others[i].magic, others[i].length) == 0) *compressed = others[i].name;
    }
    if (*compressed || size < BLOCK || bytes[0] == 0) return false;
    unsigned sum = 0, told = 0;
    for (int i = 0; i < BLOCK; i++) {
        sum += i >= CHECKSUM_AT && i < CHECKSUM_AT + CHECKSUM_LENGTH ? ' ' : bytes[i];
    }
    for (int i = CHECKSUM_AT; i < CHECKSUM_AT + CHECKSUM_LENGTH; i++) {
        if (bytes[i] >= '0' && bytes[i] <= '7') {
            told = told * 8 + (unsigned)(bytes[i] - '0');
        } else if (told || bytes[i] != ' ') {
            break;
        }
    }
    return sum == told;
}

struct tar_scan {
    struct dio_ctx *ctx;
    struct dio_files *files;
    struct archive *archive;
    const char *path;
    uint64_t file_size;
    struct hard_link {
        char *name, *target;
    } *links;
    size_t n_links, links_capacity;
    uint64_t special;
};

/* Without "./", doubled slashes and a leading slash; false: it has "..", and would leave the archive. */
static bool normalise(char *name)
{
    char *to = name;
    for (const char *at = name; *at;) {
        while (*at == '/') at++;
        size_t length = strcspn(at, "/");
        if (length == 2 && at[0] == '.' && at[1] == '.') return false;
        if (length && !(length == 1 && at[0] == '.')) {
            if (to != name) *to++ = '/';
            memmove(to, at, length);
            to += length;
        }
        at += length;
    }
    *to = 0;
    return true;
}

static bool any_part_ignored(const char *name)
{
    char part[256];
    for (const char *at = name; *at;) {
        size_t length = strcspn(at, "/");
        if (length < sizeof part) {
            memcpy(part, at, length);
            part[length] = 0;
            if (dio_name_ignored(part)) return true;
        }
        at += length + (at[length] == '/');
    }
    return false;
}

static int depth_of(const char *name)
{
    int depth = 0;
    for (; *name; name++) depth += *name == '/';
    return depth;
}

static dio_status add_link(struct tar_scan *scan, const char *name, const char *target)
{
    struct dio_ctx *ctx = scan->ctx;
    DIO_PASS(dio_grow(ctx, (void **)&scan->links, &scan->links_capacity, scan->n_links + 1, sizeof *scan->links, "links"));
    struct hard_link link = {dio_strdup(ctx, name), dio_strdup(ctx, target)};
    scan->links[scan->n_links++] = link;
    return link.name && link.target ? DIO_OK : DIO_ERR_ENV;
}

/* Kept until all members are known: then only those without files stay. */
static dio_status add_folder(struct tar_scan *scan, const char *name)
{
    struct dio_files *files = scan->files;
    if (files->n_folders >= DIO_FILES_EMPTY) return DIO_OK;
    DIO_PASS(dio_grow(scan->ctx, (void **)&files->folders, &files->folders_capacity, files->n_folders + 1,
                      sizeof *files->folders, "folders"));
    char *copy = dio_strdup(scan->ctx, name);
    if (!copy) return DIO_ERR_ENV;
    files->folders[files->n_folders++] = copy;
    return DIO_OK;
}

static void drop_full_folders(struct dio_ctx *ctx, struct dio_files *files)
{
    size_t kept = 0;
    for (size_t i = 0; i < files->n_folders; i++) {
        if (dio_files_has_folder(files, files->folders[i])) {
            dio_free(ctx, files->folders[i]);
        } else {
            files->folders[kept++] = files->folders[i];
        }
    }
    files->n_folders = kept;
}

static dio_status add_member(struct tar_scan *scan, struct archive_entry *entry, char *name)
{
    struct dio_place place = {.file = scan->path, .part = name};
    char part[320];
    char shown[200];
    dio_escape(shown, sizeof shown, name, strlen(name), 0);
    snprintf(part, sizeof part, "entry %s", shown);
    place.part = part;
    if (!normalise(name)) return dio_fail(scan->ctx, DIO_ERR_INPUT, "P9", &place, "the name leaves the archive");
    if (depth_of(name) > DIO_MAX_FOLDER_DEPTH) {
        return dio_fail(scan->ctx, DIO_ERR_INPUT, "D12", &place, "nested deeper than %d", DIO_MAX_FOLDER_DEPTH);
    }
    if (!*name || any_part_ignored(name)) return DIO_OK;
    const char *target = archive_entry_hardlink(entry);
    if (target) return add_link(scan, name, target);
    if (archive_entry_filetype(entry) == AE_IFDIR) return add_folder(scan, name);
    if (archive_entry_filetype(entry) != AE_IFREG || archive_entry_sparse_count(entry) > 0) {
        if (scan->special++ == 0) dio_say(scan->ctx, DIO_LEVEL_WARNING, "D10", &place, "not a regular file; left out");
        return DIO_OK;
    }
    int64_t size = archive_entry_size(entry), offset = archive_filter_bytes(scan->archive, 0);
    if (size < 0 || offset < 0 || (uint64_t)offset > scan->file_size || (uint64_t)size > scan->file_size - (uint64_t)offset) {
        place.offset = offset >= 0 ? DIO_AT(offset) : 0;
        return dio_fail(scan->ctx, DIO_ERR_INPUT, "P2", &place, "truncated: the entry needs %lld bytes, the file ends at %llu",
                        (long long)size, (unsigned long long)scan->file_size);
    }
    struct dio_item item = {.label = -1, .group = -1, .kind = DIO_REF_MEMBER, .offset = (uint64_t)offset,
                            .size = (uint64_t)size, .inode = (uint64_t)offset};
    return dio_files_add(scan->ctx, scan->files, name, strlen(name), &item);
}

/* libarchive's reasons begin with "Damaged tar archive" themselves, or do not. */
static dio_status fail_damaged(struct dio_ctx *ctx, const char *path, struct archive *archive)
{
    static const char known[] = "Damaged tar archive";
    const char *why = archive_error_string(archive);
    bool told = why && strncasecmp(why, known, sizeof known - 1) == 0;
    const char *rest = told ? why + sizeof known - 1 : why ? why : "unreadable";
    return dio_fail(ctx, DIO_ERR_INPUT, "P2", &(struct dio_place){.file = path}, "damaged tar%s%s", told ? "" : ": ", rest);
}

static dio_status read_entries(struct tar_scan *scan)
{
    struct dio_place place = {.file = scan->path};
    for (;;) {
        if (dio_cancelled(scan->ctx)) return DIO_CANCELLED;
        struct archive_entry *entry;
        int result = archive_read_next_header(scan->archive, &entry);
        if (result == ARCHIVE_EOF) return DIO_OK;
        if (result < ARCHIVE_WARN || result == ARCHIVE_RETRY) return fail_damaged(scan->ctx, scan->path, scan->archive);
        const char *name = archive_entry_pathname(entry);
        if (!name) name = archive_entry_pathname_utf8(entry);
        if (!name) return dio_fail(scan->ctx, DIO_ERR_INPUT, "P2", &place, "damaged tar: an entry without a name");
        char *copy = dio_strdup(scan->ctx, name);
        if (!copy) return DIO_ERR_ENV;
        dio_status status = add_member(scan, entry, copy);
        dio_free(scan->ctx, copy);
        DIO_PASS(status);
    }
}

static int compare_items(const void *a, const void *b, void *names)
{
    const struct dio_item *x = a, *y = b;
    int order = strcmp((const char *)names + x->path, (const char *)names + y->path);
    return order ? order : (x->offset > y->offset) - (x->offset < y->offset);
}

/* In order, and of two members of one name the last, as unpacking would leave it. */
static void sort_members(struct dio_files *files)
{
    bool sorted = true;
    for (size_t i = 1; i < files->count && sorted; i++) {
        sorted = compare_items(&files->items[i - 1], &files->items[i], files->names.text) < 0;
    }
    if (!sorted) qsort_r(files->items, files->count, sizeof *files->items, compare_items, files->names.text);
    size_t kept = 0;
    for (size_t i = 0; i < files->count; i++) {
        if (i + 1 < files->count && strcmp(dio_files_path(files, i), dio_files_path(files, i + 1)) == 0) continue;
        files->items[kept++] = files->items[i];
    }
    files->count = kept;
}

static dio_status resolve_links(struct tar_scan *scan)
{
    sort_members(scan->files);
    size_t members = scan->files->count;
    for (size_t i = 0; i < scan->n_links; i++) {
        struct dio_files plain = *scan->files;
        plain.count = members; /* only these are in order */
        size_t at = normalise(scan->links[i].target) ? dio_files_find(&plain, scan->links[i].target) : SIZE_MAX;
        if (at == SIZE_MAX) {
            char part[320];
            snprintf(part, sizeof part, "entry %.300s", scan->links[i].name);
            struct dio_place place = {.file = scan->path, .part = part};
            return dio_fail(scan->ctx, DIO_ERR_INPUT, "P2", &place, "links to \"%.200s\", which is not in the archive",
                            scan->links[i].target);
        }
        struct dio_item item = scan->files->items[at];
        DIO_PASS(dio_files_add(scan->ctx, scan->files, scan->links[i].name, strlen(scan->links[i].name), &item));
    }
    if (scan->n_links) sort_members(scan->files);
    return DIO_OK;
}

/* An archive ends with blocks of zeros. */
static bool is_end(const unsigned char block[BLOCK])
{
    for (int i = 0; i < BLOCK; i++) {
        if (block[i]) return false;
    }
    return true;
}

static dio_status check_head(struct dio_ctx *ctx, const char *path, int fd, uint64_t *size)
{
    struct dio_place place = {.file = path};
    struct stat info;
    if (fstat(fd, &info) != 0) return dio_fail_errno(ctx, path, "stat", errno);
    if (!S_ISREG(info.st_mode)) return dio_fail(ctx, DIO_ERR_INPUT, "D1", &place, "not a folder");
    *size = (uint64_t)info.st_size;
    unsigned char head[BLOCK];
    ssize_t got = pread(fd, head, sizeof head, 0);
    if (got < 0) return dio_fail_errno(ctx, path, "read", errno);
    const char *compressed;
    if (dio_tar_probe(head, (size_t)got, &compressed)) return DIO_OK;
    if (got == 0) return dio_fail(ctx, DIO_ERR_INPUT, "D1", &place, "the file is empty");
    if (got == BLOCK && is_end(head)) return dio_fail(ctx, DIO_ERR_INPUT, "D2", &place, "the tar is empty");
    if (compressed) {
        place.hint = "unpack it first";
        return dio_fail(ctx, DIO_ERR_INPUT, "D1", &place, "compressed (%s); only uncompressed tars are read in place", compressed);
    }
    place.hint = "data are a folder, an uncompressed tar or a CSV manifest";
    return dio_fail(ctx, DIO_ERR_INPUT, "D1", &place, "not a folder");
}

dio_status dio_files_open_tar(struct dio_ctx *ctx, const char *path, struct dio_files *files)
{
    *files = (struct dio_files){.ctx = ctx, .fd = -1};
    struct tar_scan scan = {.ctx = ctx, .files = files, .path = path};
    dio_status status = DIO_ERR_ENV;
    files->root = dio_strdup(ctx, path);
    if (!files->root) goto fail;
    files->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (files->fd < 0) {
        status = dio_fail_errno(ctx, path, "open", errno);
        goto fail;
    }
    DIO_TRY(check_head(ctx, path, files->fd, &scan.file_size));
    scan.archive = archive_read_new();
    if (!scan.archive) {
        status = dio_fail(ctx, DIO_ERR_ENV, "E3", NULL, "out of memory: a tar reader");
        goto fail;
    }
    archive_read_support_format_tar(scan.archive);
    /* Names are bytes, whatever the locale. */
    archive_read_set_options(scan.archive, "tar:hdrcharset=BINARY");
    if (archive_read_open_fd(scan.archive, files->fd, 64 * 1024) != ARCHIVE_OK) {
        status = fail_damaged(ctx, path, scan.archive);
        goto fail;
    }
    DIO_TRY(read_entries(&scan));
    DIO_TRY(resolve_links(&scan));
    drop_full_folders(ctx, files);
fail:
    if (scan.archive) archive_read_free(scan.archive);
    for (size_t i = 0; i < scan.n_links; i++) {
        dio_free(ctx, scan.links[i].name);
        dio_free(ctx, scan.links[i].target);
    }
    dio_free(ctx, scan.links);
    if (status != DIO_OK) dio_files_free(ctx, files);
    return status;
}
