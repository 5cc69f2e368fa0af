#include "data/pictures.h"

#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"

static bool known_text(const char *name)
{
    static const char *const endings[] = {".txt", ".csv", ".json", ".xml", ".md", ".html", ".yaml", ".yml", ".npy",
                                          ".py", ".log", ".zip", ".pdf", ".mat", ".tsv", ".sh", ".ipynb"};
    size_t length = strlen(name);
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        size_t n = strlen(endings[i]);
        if (length > n && strcasecmp(name + length - n, endings[i]) == 0) return true;
    }
    return false;
}

bool dio_ref_is_picture(struct dio_ctx *ctx, const struct dio_ref *ref)
{
    (void)ctx;
    if (ref->kind == DIO_REF_RECORD || dio_picture_has_extension(ref->name)) return true;
    if (known_text(ref->name)) return false;
    unsigned char head[64];
    ssize_t got;
    if (ref->kind == DIO_REF_MEMBER) {
        got = pread(ref->fd, head, ref->size < sizeof head ? (size_t)ref->size : sizeof head, (off_t)ref->offset);
    } else {
        int fd = open(ref->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        if (fd < 0) return false;
        got = read(fd, head, sizeof head);
        close(fd);
    }
    return got > 0 && dio_picture_probe(ref->name, head, (size_t)got) != NULL;
}

dio_status dio_files_keep_pictures(struct dio_ctx *ctx, struct dio_files *files)
{
    size_t kept = 0;
    uint64_t others = 0;
    char first[256] = "", buffer[DIO_REF_NAME_MAX];
    for (size_t i = 0; i < files->count; i++) {
        struct dio_ref ref = dio_files_ref(files, i, buffer);
        if (dio_ref_is_picture(ctx, &ref)) {
            files->items[kept++] = files->items[i];
        } else if (others++ == 0) {
            dio_escape(first, sizeof first, dio_files_path(files, i), strlen(dio_files_path(files, i)), 0);
        }
    }
    files->count = kept;
    if (others) {
        struct dio_place place = {.file = files->root};
        if (others == 1) {
            dio_say(ctx, DIO_LEVEL_WARNING, "D8", &place, "1 file is not a picture (%s)", first);
        } else {
            dio_say(ctx, DIO_LEVEL_WARNING, "D8", &place, "%llu files are not pictures (first: %s)",
                    (unsigned long long)others, first);
        }
    }
    return DIO_OK;
}
