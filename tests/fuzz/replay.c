/* Runs a fuzz target over files and folders, and over small changes to each file: cut short, one byte changed, a piece
 * doubled.  The changes are the same in every run.  REPLAY_CHANGES: how many a file (default 100). */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t random_state;

static size_t below(size_t bound)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return bound > 0 ? (size_t)(random_state % bound) : 0;
}

/* In a block of exactly its size, so that AddressSanitizer sees a read beyond it. */
static void run(const uint8_t *bytes, size_t size)
{
    uint8_t *copy = malloc(size > 0 ? size : 1);
    if (!copy) abort();
    if (size > 0) memcpy(copy, bytes, size);
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

static void run_changed(const uint8_t *bytes, size_t size, uint8_t *work)
{
    size_t used = size, at = below(size);
    memcpy(work, bytes, size);
    switch (below(5)) {
    case 0: used = below(size + 1); break;
    case 1: work[at] = (uint8_t)below(256); break;
    case 2: work[at] ^= (uint8_t)(1u << below(8)); break;
    case 3: work[at] = (uint8_t)"\0\xff\x7f\x80{[\"\n"[below(8)]; break;
    default: {
        size_t length = below(size - at) + 1;
        memcpy(work + size, bytes + at, length);
        used = size + length;
    }
    }
    run(work, used);
}

static int replay_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END) != 0) return 1;
    long length = ftell(file);
    rewind(file);
    size_t size = length > 0 ? (size_t)length : 0;
    uint8_t *bytes = malloc(size + 1), *work = malloc(2 * size + 1);
    if (!bytes || !work || fread(bytes, 1, size, file) != size) return 1;
    fclose(file);
    const char *wanted = getenv("REPLAY_CHANGES");
    long changes = wanted ? strtol(wanted, NULL, 10) : 100;
    random_state = 88172645463325252u;
    run(bytes, size);
    for (long i = 0; size > 0 && i < changes; i++) run_changed(bytes, size, work);
    free(work);
    free(bytes);
    return 0;
}

static int replay(const char *path, int *files)
{
    struct stat st;
    if (stat(path, &st) != 0) {
        fprintf(stderr, "%s: cannot be read\n", path);
        return 1;
    }
    if (!S_ISDIR(st.st_mode)) {
        ++*files;
        return replay_file(path);
    }
    int failed = 0;
    DIR *folder = opendir(path);
    for (struct dirent *entry; folder && (entry = readdir(folder));) {
        char inner[4096];
        if (entry->d_name[0] == '.') continue;
        snprintf(inner, sizeof inner, "%s/%s", path, entry->d_name);
        failed |= replay(inner, files);
    }
    if (folder) closedir(folder);
    return failed;
}

int main(int argc, char **argv)
{
    int failed = 0, files = 0;
    for (int i = 1; i < argc; i++) failed |= replay(argv[i], &files);
    printf("%d files replayed\n", files);
    return failed || files == 0;
}
