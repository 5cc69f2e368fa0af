/* CSV manifests: path,label[,split][,group], one row a picture; a file of its own, or manifest.csv in a folder or tar. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"
#include "data/dataset_private.h"
#include "data/problems.h"
#include "text/csv.h"

static const uint64_t max_bytes = UINT64_C(1) << 32;
enum { MAX_ROWS = 100 * 1000 * 1000, PEEK = 4096 };

enum column { COLUMN_PATH, COLUMN_LABEL, COLUMN_SPLIT, COLUMN_GROUP, COLUMNS };
static const char *const column_names[COLUMNS] = {"path", "label", "split", "group"};
static const char *const aliases[COLUMNS][4] = {
    {"path", "file", "filename", NULL}, {"label", "class", "class_index", NULL}, {"split", NULL}, {"group", "patient", "patient_key", NULL}};

struct manifest {
    struct dio_ctx *ctx;
    struct dio_dataset *dataset;
    const struct dio_dataset_options *options;
    const char *shown;       /* the manifest, in messages */
    struct dio_csv csv;
    bool csv_open;
    int column[COLUMNS];
    char *folder;            /* where relative paths begin; NULL: `tar` holds the pictures */
    struct dio_files tar;    /* fd -1: none */
    char *strip, *add;       /* "set/": a top folder that all paths have and the root has not, or the other way; or NULL */
    uint16_t source;
    struct dio_text_set labels;
    struct dio_problems problems;
};

/* ---- columns ---- */

/* --columns path=file,label=finding */
static dio_status named_columns(struct manifest *m, char given[COLUMNS][128])
{
    for (const char *at = m->options->columns; at && *at;) {
        size_t length = strcspn(at, ",");
        const char *equals = memchr(at, '=', length);
        int which = -1;
        for (int c = 0; c < COLUMNS && equals; c++) {
            if ((size_t)(equals - at) == strlen(column_names[c]) && strncmp(at, column_names[c], strlen(column_names[c])) == 0) which = c;
        }
        size_t value = equals ? length - (size_t)(equals + 1 - at) : 0;
        if (which < 0 || value == 0 || value >= sizeof given[0]) {
            struct dio_place place = {.hint = "it is a list like path=file,label=finding,split=set,group=patient"};
            return dio_fail(m->ctx, DIO_ERR_USAGE, "A4", &place, "--columns: \"%.*s\" is not path=, label=, split= or group= and a name",
                            (int)(length > 200 ? 200 : length), at);
        }
        memcpy(given[which], equals + 1, value);
        given[which][value] = 0;
        at += length + (at[length] == ',');
    }
    return DIO_OK;
}

static dio_status find_columns(struct manifest *m)
{
    char given[COLUMNS][128] = {{0}};
    DIO_PASS(named_columns(m, given));
    for (int c = 0; c < COLUMNS; c++) {
        bool needed = c == COLUMN_PATH || (c == COLUMN_LABEL && m->options->labels_wanted);
        m->column[c] = -1;
        if (given[c][0]) {
            DIO_PASS(dio_csv_column(&m->csv, given[c], true, &m->column[c]));
            continue;
        }
        for (int a = 0; aliases[c][a] && m->column[c] < 0; a++) {
            DIO_PASS(dio_csv_column(&m->csv, aliases[c][a], false, &m->column[c]));
        }
        if (needed && m->column[c] < 0) DIO_PASS(dio_csv_column(&m->csv, column_names[c], true, &m->column[c]));
    }
    return DIO_OK;
}

/* ---- where the pictures are ---- */

static bool row_exists(const struct manifest *m, const char *folder, const struct dio_files *tar, const char *path)
{
    (void)m;
    if (tar) return dio_files_find(tar, path + (strncmp(path, "./", 2) == 0 ? 2 : 0)) != SIZE_MAX;
    char whole[DIO_REF_NAME_MAX];
    snprintf(whole, sizeof whole, "%s/%s", folder, path);
    struct stat info;
    return stat(path[0] == '/' ? path : whole, &info) == 0;
}

/* Tries one place: takes it when the sample path is there. */
static dio_status try_root(struct manifest *m, const char *root, const char *sample, bool *found)
{
    if (dio_path_is_folder(root)) {
        *found = !sample || row_exists(m, root, NULL, sample);
        if (!*found) return DIO_OK;
        m->folder = dio_strdup(m->ctx, root);
        return m->folder ? DIO_OK : DIO_ERR_ENV;
    }
    if (!dio_path_is_file(root)) return DIO_OK;
    struct dio_ctx child = dio_ctx_child(m->ctx);
    struct dio_files tar;
    if (dio_files_open(&child, root, &tar) != DIO_OK) return DIO_OK;
    *found = !sample || row_exists(m, NULL, &tar, sample);
    if (*found) {
        m->tar = tar;
    } else {
        dio_files_free(m->ctx, &tar);
    }
    return DIO_OK;
}

static char *cut_ending(struct dio_ctx *ctx, const char *path, const char *ending)
{
    size_t n = strlen(path), e = strlen(ending);
    return n > e && strcmp(path + n - e, ending) == 0 ? dio_strndup(ctx, path, n - e) : dio_strdup(ctx, path);
}

/* The manifest's folder, else a folder or tar with its stem beside it ("x.manifest.csv": "x.manifest", "x"). */
static dio_status search_root(struct manifest *m, const char *sample)
{
    bool found = false;
    char *folder = dio_path_parent(m->ctx, m->shown);
    char *stem = cut_ending(m->ctx, m->shown, ".csv");
    char *shorter = stem ? cut_ending(m->ctx, stem, ".manifest") : NULL;
    dio_status status = folder && stem && shorter ? DIO_OK : DIO_ERR_ENV;
    if (status == DIO_OK) status = try_root(m, folder, sample, &found);
    const char *stems[2] = {stem, shorter};
    for (int i = 0; i < 4 && status == DIO_OK && !found; i++) {
        char *candidate = dio_sprintf(m->ctx, "%s%s", stems[i / 2], i % 2 ? ".tar" : "");
        status = candidate ? try_root(m, candidate, sample, &found) : DIO_ERR_ENV;
        if (found && m->folder == NULL) {
            struct dio_place place = {.file = m->shown};
            dio_say(m->ctx, DIO_LEVEL_NOTE, NULL, &place, "pictures are taken from %s", candidate);
        }
        dio_free(m->ctx, candidate);
    }
    if (status == DIO_OK && !found) status = try_root(m, folder, NULL, &found);
    dio_free(m->ctx, folder);
    dio_free(m->ctx, stem);
    dio_free(m->ctx, shorter);
    return status;
}

static dio_status find_root(struct manifest *m, const char *sample)
{
    if (!m->options->root) return search_root(m, sample);
    const char *root = m->options->root;
    if (!dio_path_is_folder(root)) {
        struct stat info;
        if (stat(root, &info) != 0) return dio_fail_errno(m->ctx, root, "open", errno);
        return dio_files_open(m->ctx, root, &m->tar);
    }
    m->folder = dio_strdup(m->ctx, root);
    return m->folder ? DIO_OK : DIO_ERR_ENV;
}

/* The one folder at the top of the root, as "set/"; NULL: there is none, or not one alone. */
static dio_status top_folder(const struct manifest *m, char **top)
{
    struct dio_listing listing;
    const char *only = NULL;
    *top = NULL;
    if (!m->folder) {
        const char *first = m->tar.count ? dio_files_path(&m->tar, 0) : "", *slash = strchr(first, '/');
        size_t length = slash ? (size_t)(slash - first) + 1 : 0;
        /* In order: what the first and the last begin with, all begin with. */
        if (!length || strncmp(first, dio_files_path(&m->tar, m->tar.count - 1), length) != 0) return DIO_OK;
        *top = dio_strndup(m->ctx, first, length);
        return *top ? DIO_OK : DIO_ERR_ENV;
    }
    DIO_PASS(dio_list_folder(m->ctx, m->folder, &listing));
    for (size_t i = 0, folders = 0; i < listing.count; i++) {
        if (listing.entries[i].folder && !dio_name_ignored(listing.entries[i].name)) only = ++folders == 1 ? listing.entries[i].name : NULL;
    }
    if (only) *top = dio_sprintf(m->ctx, "%s/", only);
    dio_listing_free(m->ctx, &listing);
    return !only || *top ? DIO_OK : DIO_ERR_ENV;
}

/* Paths are often written from the folder above, which an archive may have at its top or not: when the first row's picture is
 * not in the root, one folder less or more is tried.  All rows then have to be the same way. */
static dio_status match_top_folder(struct manifest *m, const char *sample)
{
    const struct dio_files *tar = m->folder ? NULL : &m->tar;
    const char *slash = strchr(sample, '/');
    struct dio_place place = {.file = m->shown};
    const char *root = m->folder ? m->folder : m->tar.root;
    if (sample[0] == '/' || row_exists(m, m->folder, tar, sample)) return DIO_OK;
    if (slash && slash[1] && row_exists(m, m->folder, tar, slash + 1)) {
        m->strip = dio_strndup(m->ctx, sample, (size_t)(slash + 1 - sample));
        if (!m->strip) return DIO_ERR_ENV;
        dio_say(m->ctx, DIO_LEVEL_NOTE, "C6", &place, "its paths begin with \"%s\", which %s is without; taken as without", m->strip, root);
        return DIO_OK;
    }
    char *top;
    DIO_PASS(top_folder(m, &top));
    char *whole = top ? dio_sprintf(m->ctx, "%s%s", top, sample) : NULL;
    dio_status status = top && !whole ? DIO_ERR_ENV : DIO_OK;
    if (whole && row_exists(m, m->folder, tar, whole)) {
        dio_say(m->ctx, DIO_LEVEL_NOTE, "C6", &place, "its paths are taken as below \"%s\" of %s", top, root);
        m->add = top;
        top = NULL;
    }
    dio_free(m->ctx, whole);
    dio_free(m->ctx, top);
    return status;
}

/* The row's path as the root has it. */
static dio_status path_in_root(const struct manifest *m, const char *path, char out[DIO_REF_NAME_MAX])
{
    size_t strip = m->strip ? strlen(m->strip) : 0;
    if (strip && strncmp(path, m->strip, strip) != 0) {
        return dio_csv_fail(&m->csv, "C6", "%s: not below \"%s\", as the first row is", path, m->strip);
    }
    if (snprintf(out, DIO_REF_NAME_MAX, "%s%s", m->add ? m->add : "", path + strip) < DIO_REF_NAME_MAX) return DIO_OK;
    return dio_csv_fail(&m->csv, "C6", "the path is too long");
}

static dio_status add_root(struct manifest *m)
{
    int fd = m->tar.fd;
    m->tar.fd = -1; /* the dataset's now */
    const char *root = m->folder ? m->folder : m->tar.root;
    m->dataset->in_tar = !m->folder;
    return dio_dataset_add_source(m->ctx, m->dataset, root, fd, &m->source);
}

/* ---- rows ---- */

static bool blank(const char *text)
{
    while (*text == ' ') text++;
    return *text == 0;
}

static dio_status check_label(const struct manifest *m, const struct dio_csv_field *label)
{
    if (blank(label->text)) return dio_csv_fail(&m->csv, "C4", "empty label");
    if (label->length > DIO_MAX_LABEL) {
        return dio_csv_fail(&m->csv, "C4", "label of %zu bytes, longer than %d", label->length, DIO_MAX_LABEL);
    }
    for (size_t i = 0; i < label->length; i++) {
        unsigned char c = (unsigned char)label->text[i];
        if (c == '\n' || c == '\r') return dio_csv_fail(&m->csv, "C4", "line break in the label");
        if (c < 0x20 || c == 0x7F) return dio_csv_fail(&m->csv, "C4", "control character \\x%02x in the label", c);
    }
    return DIO_OK;
}

static dio_status split_of(const struct manifest *m, const struct dio_csv_field *field, uint8_t *out)
{
    static const char *const known[] = {"train", "val", "test", "valid", "validation"};
    enum dio_split split;
    if (blank(field->text)) return dio_csv_fail(&m->csv, "C9", "empty split");
    if (!dio_split_from_name(field->text, &split)) {
        const char *near = dio_nearest(field->text, known, sizeof known / sizeof *known);
        if (near) return dio_csv_fail(&m->csv, "C9", "split \"%s\"; did you mean \"%s\"?", field->text, near);
        return dio_csv_fail(&m->csv, "C9", "split \"%s\" is not train, val or test", field->text);
    }
    *out = (uint8_t)split;
    return DIO_OK;
}

/* C6: the picture of a row, as it stands in the file system or tar. */
static dio_status locate(const struct manifest *m, const char *path, struct dio_item *item)
{
    if (!m->folder) {
        size_t at = dio_files_find(&m->tar, path + (strncmp(path, "./", 2) == 0 ? 2 : 0));
        if (at == SIZE_MAX) return dio_csv_fail(&m->csv, "C6", "%s: not in %s", path, m->tar.root);
        const struct dio_item *found = &m->tar.items[at];
        item->kind = found->kind;
        item->offset = found->offset;
        item->size = found->size;
        item->inode = found->inode;
        return DIO_OK;
    }
    char whole[DIO_REF_NAME_MAX];
    int n = path[0] == '/' ? snprintf(whole, sizeof whole, "%s", path) : snprintf(whole, sizeof whole, "%s/%s", m->folder, path);
    struct stat info;
    if (n >= (int)sizeof whole) return dio_csv_fail(&m->csv, "C6", "the path is too long");
    if (stat(whole, &info) != 0) {
        if (errno == ENOENT || errno == ENOTDIR) return dio_csv_fail(&m->csv, "C6", "%s: no such file", path);
        char reason[128];
        dio_errno_text(errno, reason, sizeof reason);
        return dio_csv_fail(&m->csv, "C6", "%s: %s", path, reason);
    }
    if (S_ISDIR(info.st_mode)) return dio_csv_fail(&m->csv, "C6", "%s: a folder, not a picture", path);
    if (!S_ISREG(info.st_mode)) return dio_csv_fail(&m->csv, "C6", "%s: not a regular file", path);
    item->kind = DIO_REF_FILE;
    item->size = (uint64_t)info.st_size;
    item->mtime_ns = info.st_mtim.tv_sec * INT64_C(1000000000) + info.st_mtim.tv_nsec;
    item->inode = (uint64_t)info.st_ino;
    return DIO_OK;
}

static dio_status read_row(struct manifest *m)
{
    const struct dio_csv_field *fields = m->csv.fields;
    const char *given = fields[m->column[COLUMN_PATH]].text;
    char path[DIO_REF_NAME_MAX];
    struct dio_item item = {.line = m->csv.line, .label = -1, .group = -1, .source = m->source};
    if (blank(given)) return dio_csv_fail(&m->csv, "C4", "empty path");
    if (m->options->labels_wanted) {
        DIO_PASS(check_label(m, &fields[m->column[COLUMN_LABEL]]));
        if (m->column[COLUMN_SPLIT] >= 0) DIO_PASS(split_of(m, &fields[m->column[COLUMN_SPLIT]], &item.split));
    }
    if (!m->folder && m->tar.root == NULL) DIO_PASS(dio_fail(m->ctx, DIO_ERR_INTERNAL, NULL, NULL, "a manifest without a root"));
    DIO_PASS(path_in_root(m, given, path));
    DIO_PASS(locate(m, path, &item));
    if (m->options->labels_wanted) {
        DIO_PASS(dio_text_set_put(m->ctx, &m->labels, fields[m->column[COLUMN_LABEL]].text, &item.label));
        int group = m->column[COLUMN_GROUP];
        if (group >= 0 && !blank(fields[group].text)) {
            DIO_PASS(dio_text_set_put(m->ctx, &m->dataset->groups, fields[group].text, &item.group));
        }
    }
    DIO_PASS(dio_names_add(m->ctx, &m->dataset->names, path, strlen(path), NULL, &item.path));
    return dio_dataset_add_item(m->ctx, m->dataset, &item);
}

/* Problems of rows are gathered; anything else ends the reading. */
static dio_status read_rows(struct manifest *m, bool inside)
{
    bool rooted = inside;
    for (;;) {
        dio_status status = dio_csv_next(&m->csv);
        if (status == DIO_OK && m->csv.end) break;
        if (status == DIO_OK && !rooted) {
            const char *sample = m->csv.fields[m->column[COLUMN_PATH]].text;
            DIO_PASS(find_root(m, sample));
            DIO_PASS(match_top_folder(m, sample));
            DIO_PASS(add_root(m));
            rooted = true;
        }
        if (status == DIO_OK) status = read_row(m);
        if (status == DIO_OK) {
            if (m->dataset->count > MAX_ROWS) return dio_csv_fail(&m->csv, "C11", "more than %d rows", MAX_ROWS);
            continue;
        }
        if (!dio_problems_take(&m->problems, m->ctx)) return status;
        if (m->csv.broken) break;
    }
    DIO_PASS(dio_problems_end(&m->problems, m->ctx, m->shown, "C3", "rows are wrong"));
    if (m->dataset->count == 0) {
        struct dio_place place = {.file = m->shown};
        return dio_fail(m->ctx, DIO_ERR_INPUT, "C1", &place, "no rows below the header");
    }
    return DIO_OK;
}

static dio_status read_manifest(struct manifest *m, bool inside)
{
    DIO_PASS(find_columns(m));
    DIO_PASS(read_rows(m, inside));
    if (!m->options->labels_wanted) return DIO_OK;
    return dio_dataset_set_classes(m->ctx, m->dataset, m->options, &m->labels, m->shown);
}

static void begin(struct manifest *m, struct dio_ctx *ctx, const char *shown, const struct dio_dataset_options *options,
                  struct dio_dataset *dataset)
{
    *m = (struct manifest){.ctx = ctx, .dataset = dataset, .options = options, .shown = shown, .tar = {.fd = -1},
                           .problems = {.level = DIO_LEVEL_ERROR}};
    dio_text_set_init(&m->labels, ctx);
}

static void end(struct manifest *m)
{
    if (m->csv_open) dio_csv_close(&m->csv);
    dio_text_set_free(m->ctx, &m->labels);
    dio_files_free(m->ctx, &m->tar);
    dio_free(m->ctx, m->folder);
    dio_free(m->ctx, m->strip);
    dio_free(m->ctx, m->add);
}

dio_status dio_manifest_open(struct dio_ctx *ctx, const char *path, const struct dio_dataset_options *options,
                             struct dio_dataset *dataset)
{
    struct manifest m;
    begin(&m, ctx, path, options, dataset);
    dio_status status;
    DIO_TRY(dio_csv_read(ctx, path, max_bytes, &m.csv));
    m.csv_open = true;
    DIO_TRY(read_manifest(&m, false));
fail:
    end(&m);
    return status;
}

/* ---- manifest.csv inside a folder or tar ---- */

static const char inside_name[] = "manifest.csv";

static bool line_has(const char *line, const char *const *words)
{
    for (int w = 0; words[w]; w++) {
        size_t length = strlen(words[w]);
        for (const char *at = line; (at = strstr(at, words[w])) != NULL; at += length) {
            bool starts = at == line || at[-1] == ',' || at[-1] == '"', ends = !at[length] || strchr(",\"\r", at[length]);
            if (starts && ends) return true;
        }
    }
    return false;
}

static bool probe(const struct dio_files *files, const struct dio_dataset_options *options)
{
    size_t at = dio_files_find(files, inside_name);
    if (at == SIZE_MAX || !options->labels_wanted) return false;
    char name[DIO_REF_NAME_MAX];
    struct dio_ref ref = dio_files_ref(files, at, name);
    if (ref.kind == DIO_REF_MEMBER && ref.size > PEEK) ref.size = PEEK;
    struct dio_ctx child = dio_ctx_child(files->ctx);
    struct dio_blob head;
    if (dio_ref_read(&child, &ref, &head) != DIO_OK) return false;
    char line[PEEK + 1];
    size_t length = head.size < PEEK ? head.size : PEEK;
    memcpy(line, head.data, length);
    line[length] = 0;
    line[strcspn(line, "\n")] = 0;
    dio_blob_free(&child, &head);
    const char *start = strncmp(line, "\xEF\xBB\xBF", 3) == 0 ? line + 3 : line;
    return options->columns || (line_has(start, aliases[COLUMN_PATH]) && line_has(start, aliases[COLUMN_LABEL]));
}

static dio_status open_inside(struct dio_ctx *ctx, struct dio_files *files, const struct dio_dataset_options *options,
                              struct dio_dataset *dataset)
{
    char name[DIO_REF_NAME_MAX];
    struct dio_ref ref = dio_files_ref(files, dio_files_find(files, inside_name), name);
    struct manifest m;
    begin(&m, ctx, name, options, dataset);
    struct dio_blob bytes = {.fd = -1};
    dio_status status;
    struct dio_place place = {.file = files->root};
    dio_say(ctx, DIO_LEVEL_NOTE, NULL, &place, "labels and splits are taken from its %s", inside_name);
    DIO_TRY(dio_ref_read(ctx, &ref, &bytes));
    DIO_TRY(dio_csv_open(ctx, name, bytes.data, bytes.size, &m.csv));
    m.csv_open = true;
    if (files->fd >= 0) {
        m.tar = *files;
        *files = (struct dio_files){.fd = -1, .ctx = ctx};
    } else {
        m.folder = dio_strdup(ctx, files->root);
        if (!m.folder) {
            status = DIO_ERR_ENV;
            goto fail;
        }
        dio_files_free(ctx, files); /* the rows list the pictures themselves */
    }
    DIO_TRY(add_root(&m));
    DIO_TRY(read_manifest(&m, true));
fail:
    dio_blob_free(ctx, &bytes);
    end(&m);
    return status;
}

const struct dio_layout dio_layout_manifest = {"manifest", "CSV with path,label[,split][,group]; also as manifest.csv in a folder or tar",
                                               probe, open_inside};
