/* CIFAR-10's binary layout: data_batch_*.bin and test_batch.bin with records of 1 label byte and 3,072 pixel bytes, class
 * names one a line in batches.meta.txt.  CIFAR-100's (train.bin, test.bin, two label bytes, fine_label_names.txt) too. */
#include "data/cifar.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"
#include "data/dataset_private.h"

enum { NAMES_LIMIT = 64 * 1024 };

struct flavour {
    const char *names;     /* file of the class names */
    size_t label_bytes;    /* the last one is the label */
    int classes;
};
static const struct flavour flavours[] = {{"batches.meta.txt", 1, 10}, {"fine_label_names.txt", 2, 100}};

static bool split_of(const char *path, const struct flavour *flavour, enum dio_split *split)
{
    size_t length = strlen(path);
    if (length < 4 || strcmp(path + length - 4, ".bin") != 0 || strchr(path, '/')) return false;
    bool ten = flavour->label_bytes == 1;
    if (strcmp(path, ten ? "test_batch.bin" : "test.bin") == 0) {
        *split = DIO_SPLIT_TEST;
    } else if (ten ? strncmp(path, "data_batch_", 11) == 0 : strcmp(path, "train.bin") == 0) {
        *split = DIO_SPLIT_TRAIN;
    } else {
        return false;
    }
    return true;
}

static size_t record_size(const struct flavour *flavour) { return flavour->label_bytes + DIO_CIFAR_PIXELS; }

/* Without labels the file of names may be missing: names and sizes of the records' files are enough. */
static const struct flavour *flavour_of(const struct dio_files *files, bool names_wanted)
{
    for (size_t f = 0; f < sizeof flavours / sizeof *flavours; f++) {
        bool named = dio_files_find(files, flavours[f].names) != SIZE_MAX;
        if (!named && names_wanted) continue;
        for (size_t i = 0; i < files->count; i++) {
            enum dio_split split;
            bool records = split_of(dio_files_path(files, i), &flavours[f], &split);
            if (records && (named || files->items[i].size % record_size(&flavours[f]) == 0)) return &flavours[f];
        }
    }
    return NULL;
}

static bool lists(const struct dio_folder_list *list, const char *wanted)
{
    for (size_t i = 0; i < list->count; i++) {
        if (!list->entries[i].folder && strcmp(list->names.text + list->entries[i].name, wanted) == 0) return true;
    }
    return false;
}

bool dio_cifar_has_records(struct dio_ctx *ctx, const struct dio_folder_list *list, const char *folder)
{
    for (size_t i = 0; i < list->count; i++) {
        const char *name = list->names.text + list->entries[i].name;
        for (size_t f = 0; f < sizeof flavours / sizeof *flavours && !list->entries[i].folder; f++) {
            enum dio_split split;
            struct stat info;
            if (!split_of(name, &flavours[f], &split)) continue;
            if (lists(list, flavours[f].names)) return true; /* whole or not: opening them says it */
            char *path = dio_path_join(ctx, folder, name);
            bool records = path && stat(path, &info) == 0 && info.st_size > 0 && (uint64_t)info.st_size % record_size(&flavours[f]) == 0;
            dio_free(ctx, path);
            if (records) return true;
        }
    }
    return false;
}

static bool probe(const struct dio_files *files, const struct dio_dataset_options *options)
{
    return flavour_of(files, options->labels_wanted) != NULL;
}

static dio_status read_names(struct dio_ctx *ctx, const struct dio_files *files, const struct flavour *flavour,
                             struct dio_text_set *labels)
{
    char name[DIO_REF_NAME_MAX];
    struct dio_ref ref = dio_files_ref(files, dio_files_find(files, flavour->names), name);
    struct dio_place place = {.file = name};
    struct dio_blob bytes;
    if (ref.size > NAMES_LIMIT) return dio_fail(ctx, DIO_ERR_INPUT, "C11", &place, "too long for a list of class names");
    DIO_PASS(dio_ref_read(ctx, &ref, &bytes));
    dio_status status = DIO_OK;
    const char *at = (const char *)bytes.data, *end = at + bytes.size;
    size_t bad;
    if (!dio_utf8_valid(bytes.data, bytes.size, &bad) || memchr(bytes.data, 0, bytes.size)) {
        status = dio_fail(ctx, DIO_ERR_INPUT, "C5", &place, "not UTF-8");
    }
    if (bytes.size >= 3 && memcmp(at, "\xef\xbb\xbf", 3) == 0) at += 3; /* Windows' editors put it there */
    while (status == DIO_OK && at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        size_t length = (size_t)((newline ? newline : end) - at);
        size_t used = length && at[length - 1] == '\r' ? length - 1 : length;
        char label[DIO_MAX_LABEL + 1];
        if (used > DIO_MAX_LABEL) {
            status = dio_fail(ctx, DIO_ERR_INPUT, "C4", &place, "label longer than %d bytes", DIO_MAX_LABEL);
        } else if (used) {
            memcpy(label, at, used);
            label[used] = 0;
            int32_t number;
            size_t before = labels->count;
            status = dio_text_set_put(ctx, labels, label, &number);
            if (status == DIO_OK && labels->count == before) {
                status = dio_fail(ctx, DIO_ERR_INPUT, "C1", &place, "class \"%s\" appears twice", label);
            }
        }
        at += length + 1;
    }
    dio_blob_free(ctx, &bytes);
    if (status == DIO_OK && labels->count != (size_t)flavour->classes) {
        status = dio_fail(ctx, DIO_ERR_INPUT, "C1", &place, "%zu class names, expected %d", labels->count, flavour->classes);
    }
    return status;
}

static dio_status add_records(struct dio_ctx *ctx, const struct dio_files *files, size_t file, enum dio_split split,
                              const struct flavour *flavour, struct dio_dataset *dataset)
{
    char name[DIO_REF_NAME_MAX];
    struct dio_ref ref = dio_files_ref(files, file, name);
    struct dio_place place = {.file = name};
    size_t record = record_size(flavour);
    if (ref.size == 0 || ref.size % record) {
        return dio_fail(ctx, DIO_ERR_INPUT, "D2", &place, "%llu bytes are not a number of records of %zu bytes",
                        (unsigned long long)ref.size, record);
    }
    int fd = ref.kind == DIO_REF_FILE ? open(name, O_RDONLY | O_CLOEXEC) : fcntl(ref.fd, F_DUPFD_CLOEXEC, 0);
    if (fd < 0) return dio_fail_errno(ctx, name, "open", errno);
    uint16_t source;
    DIO_PASS(dio_dataset_add_source(ctx, dataset, files->root, fd, &source));
    for (uint64_t i = 0; i < ref.size / record; i++) {
        unsigned char label[2];
        uint64_t at = (ref.kind == DIO_REF_FILE ? 0 : ref.offset) + i * record;
        if (pread(fd, label, flavour->label_bytes, (off_t)at) != (ssize_t)flavour->label_bytes) {
            return dio_fail(ctx, DIO_ERR_INPUT, "D9", &place, "cannot read record %llu", (unsigned long long)i);
        }
        int value = label[flavour->label_bytes - 1];
        if (value >= flavour->classes) {
            place.offset = DIO_AT(i * record);
            return dio_fail(ctx, DIO_ERR_INPUT, "D2", &place, "record %llu: label %d, expected 0 to %d",
                            (unsigned long long)i, value, flavour->classes - 1);
        }
        struct dio_item item = {.label = value, .group = -1, .split = (uint8_t)split, .kind = DIO_REF_RECORD,
                                .source = source, .offset = at + flavour->label_bytes, .size = DIO_CIFAR_PIXELS,
                                .inode = at + flavour->label_bytes};
        char path[300];
        snprintf(path, sizeof path, "%.255s#%llu", dio_files_path(files, file), (unsigned long long)i);
        DIO_PASS(dio_names_add(ctx, &dataset->names, path, strlen(path), NULL, &item.path));
        DIO_PASS(dio_dataset_add_item(ctx, dataset, &item));
    }
    return DIO_OK;
}

static dio_status open_cifar(struct dio_ctx *ctx, struct dio_files *files, const struct dio_dataset_options *options,
                             struct dio_dataset *dataset)
{
    const struct flavour *flavour = flavour_of(files, options->labels_wanted);
    struct dio_text_set labels;
    dio_text_set_init(&labels, ctx);
    dio_status status;
    bool named = dio_files_find(files, flavour->names) != SIZE_MAX;
    if (named) DIO_TRY(read_names(ctx, files, flavour, &labels));
    for (size_t i = 0; i < files->count; i++) {
        enum dio_split split;
        if (split_of(dio_files_path(files, i), flavour, &split)) {
            DIO_TRY(add_records(ctx, files, i, split, flavour, dataset));
        }
    }
    if (!named) goto fail; /* nothing is wrong: nobody wants them */
    /* The order of these classes is the file's: the label byte is the class, in a model without names as well. */
    bool indices = options->model_classes && options->n_model_classes == labels.count && dio_classes_are_indices(options);
    if (options->model_classes && !indices) {
        DIO_TRY(dio_dataset_set_classes(ctx, dataset, options, &labels, files->root));
    } else {
        DIO_TRY(dio_dataset_name_classes(ctx, dataset, (const char *const *)labels.texts, labels.count));
    }
fail:
    dio_text_set_free(ctx, &labels);
    return status;
}

dio_status dio_cifar_decode(struct dio_ctx *ctx, const char *name, const unsigned char *bytes, size_t size,
                            struct dio_picture *picture)
{
    if (size != DIO_CIFAR_PIXELS) {
        struct dio_place place = {.file = name};
        return dio_fail(ctx, DIO_ERR_INTERNAL, NULL, &place, "a record of %zu bytes", size);
    }
    DIO_PASS(dio_picture_reserve(ctx, name, DIO_CIFAR_SIDE, DIO_CIFAR_SIDE, 3, DIO_SAMPLE_U8, picture));
    enum { PLANE = DIO_CIFAR_SIDE * DIO_CIFAR_SIDE };
    unsigned char *out = picture->data;
    for (int i = 0; i < PLANE; i++) {
        for (int c = 0; c < 3; c++) out[3 * i + c] = bytes[c * PLANE + i];
    }
    picture->codec = "cifar";
    picture->orientation = 1;
    return DIO_OK;
}

const struct dio_layout dio_layout_cifar = {"cifar", "CIFAR's binary records: data_batch_*.bin, test_batch.bin, batches.meta.txt",
                                            probe, open_cifar};
