/* All regular files of a folder or of an uncompressed tar, in bytewise order of their paths. */
#ifndef DIO_DATA_FILES_H
#define DIO_DATA_FILES_H

#include "data/dataset.h"

/* Texts one behind another, each with its zero; told by their offsets. */
struct dio_names {
    char *text;
    size_t used, capacity;
};
/* DIO_ERR_INPUT (D12) when offsets would no longer fit: "too many files in FILE"; file may be NULL. */
dio_status dio_names_add(struct dio_ctx *ctx, struct dio_names *names, const char *name, size_t length, const char *file,
                         uint32_t *offset);

struct dio_files {
    struct dio_ctx *ctx;
    char *root;      /* as the user wrote it, with the single top folder that was descended into */
    int fd;          /* of a tar, -1: a folder */
    struct dio_item *items; /* path, kind, offset, size, mtime, inode */
    size_t count, capacity;
    struct dio_names names;
    char **folders;  /* paths of folders without any file that counts, at most DIO_FILES_EMPTY of them */
    size_t n_folders, folders_capacity;
};
enum { DIO_FILES_EMPTY = 4096 };

/* Folder or tar. Hidden files and the litter of file managers (D8) are left out; link loops are entered once (D4). */
dio_status dio_files_open(struct dio_ctx *ctx, const char *path, struct dio_files *files);
dio_status dio_files_open_tar(struct dio_ctx *ctx, const char *path, struct dio_files *files);
void dio_files_free(struct dio_ctx *ctx, struct dio_files *files);

static inline const char *dio_files_path(const struct dio_files *files, size_t i)
{
    return files->names.text + files->items[i].path;
}
/* Index of a path, or SIZE_MAX. */
size_t dio_files_find(const struct dio_files *files, const char *path);
/* Are there files at any depth below folder `path`? */
bool dio_files_has_folder(const struct dio_files *files, const char *path);
struct dio_ref dio_files_ref(const struct dio_files *files, size_t i, char buffer[DIO_REF_NAME_MAX]);

dio_status dio_files_add(struct dio_ctx *ctx, struct dio_files *files, const char *name, size_t length,
                        const struct dio_item *item);

/* Is this an uncompressed tar (by its first header's checksum)?  A compressed one, or a zip, gives its kind's name. */
bool dio_tar_probe(const unsigned char *bytes, size_t size, const char **compressed);

/* Hidden, or litter that file managers leave: .DS_Store, Thumbs.db, desktop.ini, __MACOSX, @eaDir, ... */
bool dio_name_ignored(const char *name);

/* ---- one folder's names, for the files and for the streaming walk ---- */
struct dio_folder_entry {
    uint32_t name; /* offset */
    bool folder;   /* or a link to one */
};
struct dio_folder_list {
    struct dio_folder_entry *entries; /* sorted so that a walk gives full paths in bytewise order */
    size_t count, capacity;
    struct dio_names names;
    uint64_t special;      /* FIFOs, devices and the like, left out; the first one's name */
    char first_special[256];
};
dio_status dio_folder_list_read(struct dio_ctx *ctx, const char *path, struct dio_folder_list *list);
void dio_folder_list_free(struct dio_ctx *ctx, struct dio_folder_list *list);

/* Folders already entered. */
struct dio_visited {
    struct dio_visited_folder {
        uint64_t device, inode;
    } *folders;
    size_t count, capacity;
};
dio_status dio_visited_enter(struct dio_ctx *ctx, struct dio_visited *visited, uint64_t device, uint64_t inode,
                             bool *before);

#endif
