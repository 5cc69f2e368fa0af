/* What every layout is held against before anything is computed from it. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/str.h"
#include "data/dataset_private.h"
#include "data/problems.h"

/* ---- names ---- */

/* Letters U+00C0..U+017F without their marks, so that composed and decomposed spellings fold alike. */
static const char letters[] =
    "aaaaaaaceeeeiiiidnooooo*ouuuuytsaaaaaaaceeeeiiiidnooooo/ouuuuyty"
    "aaaaaaccccccccddddeeeeeeeeeegggggggghhhhiiiiiiiiiiiijjkkklllllll"
    "lllnnnnnnnnnoooooooorrrrrrssssssssttttttuuuuuuuuuuuuwwyyyzzzzzzs";

/* Lower case; without accents too when `marks` is set.  Blanks at the ends are dropped. */
static void fold(char *out, size_t out_size, const char *text, bool marks)
{
    size_t used = 0, length = strlen(text);
    while (length && text[length - 1] == ' ') length--;
    while (length && *text == ' ') {
        text++;
        length--;
    }
    for (size_t i = 0; i < length && used + 3 < out_size;) {
        unsigned char c = (unsigned char)text[i], next = i + 1 < length ? (unsigned char)text[i + 1] : 0;
        unsigned code = (c & 0xE0u) == 0xC0 ? ((c & 0x1Fu) << 6 | (next & 0x3Fu)) : c;
        size_t bytes = (c & 0xE0u) == 0xC0 && next ? 2 : 1;
        if (c >= 'A' && c <= 'Z') {
            out[used++] = (char)(c - 'A' + 'a');
        } else if (marks && bytes == 2 && code >= 0xC0 && code < 0xC0 + sizeof letters - 1) {
            out[used++] = letters[code - 0xC0];
        } else if (marks && bytes == 2 && code >= 0x300 && code < 0x370) {
            /* a combining mark: dropped */
        } else if (bytes == 2 && code >= 0xC0 && code <= 0xDE && code != 0xD7) {
            out[used++] = (char)c; /* Latin-1 capitals to small letters */
            out[used++] = (char)(next + 0x20);
        } else {
            for (size_t k = 0; k < bytes; k++) out[used++] = text[i + k];
        }
        i += bytes;
    }
    out[used] = 0;
}

static dio_status similar_names(struct dio_ctx *ctx, const struct dio_dataset *dataset, const char *shown)
{
    struct dio_text_set folded;
    dio_text_set_init(&folded, ctx);
    dio_status status = DIO_OK;
    struct dio_place place = {.file = shown};
    int said = 0;
    for (size_t i = 0; i < dataset->n_classes && status == DIO_OK && said < DIO_PROBLEMS_SHOWN; i++) {
        char key[DIO_MAX_LABEL + 8], one[DIO_MAX_LABEL + 8], other[DIO_MAX_LABEL + 8];
        fold(key, sizeof key, dataset->classes[i], true);
        int32_t number;
        size_t before = folded.count;
        status = dio_text_set_put(ctx, &folded, key, &number);
        if (status != DIO_OK || folded.count > before) {
            /* Keeps numbers and classes in step. */
            continue;
        }
        /* Find the class that came first with this key. */
        for (size_t k = 0; k < i; k++) {
            fold(one, sizeof one, dataset->classes[k], true);
            if (strcmp(one, key) != 0) continue;
            fold(one, sizeof one, dataset->classes[k], false);
            fold(other, sizeof other, dataset->classes[i], false);
            dio_say(ctx, DIO_LEVEL_WARNING, "D6", &place, "classes \"%s\" and \"%s\" differ in %s only", dataset->classes[k],
                    dataset->classes[i], strcmp(one, other) == 0 ? "case" : "accents");
            said++;
            break;
        }
    }
    dio_text_set_free(ctx, &folded);
    return status;
}

dio_status dio_check_classes(struct dio_ctx *ctx, const struct dio_dataset *dataset,
                             const struct dio_dataset_options *options, const char *shown)
{
    struct dio_place place = {.file = shown};
    if (dataset->n_classes == 0) return dio_fail(ctx, DIO_ERR_INPUT, "D2", &place, "no classes");
    if (options->model_classes) return DIO_OK;
    if (dataset->n_classes == 1 && !options->allow_one_class) {
        place.hint = "a classifier needs two or more";
        return dio_fail(ctx, DIO_ERR_INPUT, "C10", &place, "only one class (\"%s\")", dataset->classes[0]);
    }
    return similar_names(ctx, dataset, shown);
}

/* ---- the same file twice ---- */

struct handle {
    uint64_t inode;
    uint32_t index, source; /* source: 0 for files, which are told apart by device below */
};

static int by_inode(const void *a, const void *b)
{
    const struct handle *x = a, *y = b;
    if (x->inode != y->inode) return (x->inode > y->inode) - (x->inode < y->inode);
    if (x->source != y->source) return (x->source > y->source) - (x->source < y->source);
    return (x->index > y->index) - (x->index < y->index);
}

struct pair {
    uint32_t later, earlier;
};

static int by_later(const void *a, const void *b)
{
    const struct pair *x = a, *y = b;
    return (x->later > y->later) - (x->later < y->later);
}

static bool really_same(const struct dio_dataset *dataset, uint32_t a, uint32_t b)
{
    if (dataset->items[a].kind != DIO_REF_FILE) return true;
    char first[DIO_REF_NAME_MAX], second[DIO_REF_NAME_MAX];
    struct dio_ref x = dio_dataset_ref(dataset, a, first), y = dio_dataset_ref(dataset, b, second);
    return dio_same_file(x.path, y.path);
}

static dio_status find_pairs(struct dio_ctx *ctx, const struct dio_dataset *dataset, struct pair **pairs, size_t *count)
{
    struct handle *handles = dio_alloc_array(ctx, dataset->count, sizeof *handles, "file table");
    if (!handles) return DIO_ERR_ENV;
    for (size_t i = 0; i < dataset->count; i++) {
        const struct dio_item *item = &dataset->items[i];
        handles[i] = (struct handle){item->inode, (uint32_t)i, item->kind == DIO_REF_FILE ? 0 : item->source + 1u};
    }
    qsort(handles, dataset->count, sizeof *handles, by_inode);
    dio_status status = DIO_OK;
    size_t capacity = 0;
    for (size_t i = 0, first = 0; i < dataset->count && status == DIO_OK; i++) {
        if (handles[i].inode != handles[first].inode || handles[i].source != handles[first].source) first = i;
        if (i == first || !really_same(dataset, handles[first].index, handles[i].index)) continue;
        status = dio_grow(ctx, (void **)pairs, &capacity, *count + 1, sizeof **pairs, "file table");
        if (status == DIO_OK) (*pairs)[(*count)++] = (struct pair){handles[i].index, handles[first].index};
    }
    dio_free(ctx, handles);
    if (*count) qsort(*pairs, *count, sizeof **pairs, by_later);
    return status;
}

static dio_status refuse_pair(struct dio_ctx *ctx, const struct dio_dataset *dataset, const struct pair *pair,
                              const char *shown)
{
    const struct dio_item *later = &dataset->items[pair->later], *earlier = &dataset->items[pair->earlier];
    const char *name = dio_dataset_name(dataset, later), *other = dio_dataset_name(dataset, earlier);
    struct dio_place place = {.file = shown, .line = later->line};
    char where[64] = "";
    if (earlier->line) snprintf(where, sizeof where, " in line %u", earlier->line);
    char also[512] = "";
    if (strcmp(name, other) != 0) snprintf(also, sizeof also, " as %.480s", other);
    if (later->label != earlier->label) {
        return dio_fail(ctx, DIO_ERR_INPUT, "C7", &place, "%s has label \"%s\" here and \"%s\"%s%s", name,
                        dataset->classes[later->label], dataset->classes[earlier->label], where, also);
    }
    place.hint = "--allow-leak lets it pass";
    if (!later->line) {
        return dio_fail(ctx, DIO_ERR_INPUT, "D7", &place, "%s and %s are the same file", other, name);
    }
    return dio_fail(ctx, DIO_ERR_INPUT, "C7", &place, "%s is in %s here and in %s%s%s", name,
                    dio_split_name((enum dio_split)later->split), dio_split_name((enum dio_split)earlier->split), where, also);
}

dio_status dio_check_twice(struct dio_ctx *ctx, struct dio_dataset *dataset, const struct dio_dataset_options *options,
                           const char *shown)
{
    struct pair *pairs = NULL;
    size_t count = 0;
    dio_status status = find_pairs(ctx, dataset, &pairs, &count);
    struct dio_problems warnings = {.level = DIO_LEVEL_WARNING};
    for (size_t i = 0; i < count && status == DIO_OK; i++) {
        const struct dio_item *later = &dataset->items[pairs[i].later], *earlier = &dataset->items[pairs[i].earlier];
        bool conflict = later->label != earlier->label || later->split != earlier->split;
        if (conflict && !(options->allow_leak && later->label == earlier->label)) {
            status = refuse_pair(ctx, dataset, &pairs[i], shown);
            break;
        }
        struct dio_ctx child = dio_ctx_child(ctx);
        struct dio_place place = {.file = shown, .line = later->line};
        const char *name = dio_dataset_name(dataset, later), *other = dio_dataset_name(dataset, earlier);
        if (later->line) {
            dio_fail(&child, DIO_ERR_INPUT, "C8", &place, "%s is listed twice (line %u)", name, earlier->line);
        } else {
            dio_fail(&child, DIO_ERR_INPUT, "C8", &place, "%s and %s are the same file", other, name);
        }
        dio_problems_take(&warnings, &child);
        if (!conflict) dataset->items[pairs[i].later].path = UINT32_MAX; /* used once */
    }
    if (status == DIO_OK) dio_problems_flush(&warnings, ctx, shown);
    size_t kept = 0;
    for (size_t i = 0; i < dataset->count && status == DIO_OK && count; i++) {
        if (dataset->items[i].path != UINT32_MAX) dataset->items[kept++] = dataset->items[i];
    }
    if (status == DIO_OK && count) dataset->count = kept;
    dio_free(ctx, pairs);
    return status;
}

/* ---- groups and splits ---- */

dio_status dio_check_groups(struct dio_ctx *ctx, const struct dio_dataset *dataset,
                            const struct dio_dataset_options *options, const char *shown)
{
    size_t n = dataset->groups.count;
    if (n == 0) return DIO_OK;
    uint32_t *first = dio_alloc_array(ctx, n, sizeof *first, "groups");
    if (!first) return DIO_ERR_ENV;
    memset(first, 0xFF, n * sizeof *first);
    dio_status status = DIO_OK;
    uint64_t spanning = 0;
    for (size_t i = 0; i < dataset->count && status == DIO_OK; i++) {
        const struct dio_item *item = &dataset->items[i];
        if (item->group < 0) continue;
        if (first[item->group] == UINT32_MAX) {
            first[item->group] = (uint32_t)i;
            continue;
        }
        const struct dio_item *other = &dataset->items[first[item->group]];
        if (other->split == item->split) continue;
        struct dio_place place = {.file = shown, .line = item->line, .hint = "--allow-leak lets it pass"};
        if (options->allow_leak) {
            spanning++;
        } else {
            status = dio_fail(ctx, DIO_ERR_INPUT, "D7", &place, "group \"%s\" is in %s here and in %s in line %u",
                              dataset->groups.texts[item->group], dio_split_name((enum dio_split)item->split),
                              dio_split_name((enum dio_split)other->split), other->line);
        }
    }
    if (spanning) {
        struct dio_place place = {.file = shown};
        dio_say(ctx, DIO_LEVEL_WARNING, "D7", &place, "%llu pictures belong to a group that is in another split as well",
                (unsigned long long)spanning);
    }
    dio_free(ctx, first);
    return status;
}

static void lacking(struct dio_ctx *ctx, const struct dio_dataset *dataset, const char *shown, enum dio_split split,
                    const uint64_t *train, const uint64_t *here)
{
    uint64_t n = 0;
    size_t first = 0;
    for (size_t c = 0; c < dataset->n_classes; c++) {
        if (train[c] && !here[c] && n++ == 0) first = c;
    }
    struct dio_place place = {.file = shown};
    if (n == 1) {
        dio_say(ctx, DIO_LEVEL_WARNING, "D3", &place, "class \"%s\" has no pictures in %s", dataset->classes[first],
                dio_split_name(split));
    } else if (n) {
        dio_say(ctx, DIO_LEVEL_WARNING, "D3", &place, "%llu classes have no pictures in %s (first: \"%s\")",
                (unsigned long long)n, dio_split_name(split), dataset->classes[first]);
    }
}

dio_status dio_check_split_classes(struct dio_ctx *ctx, const struct dio_dataset *dataset,
                                   const struct dio_dataset_options *options, const char *shown)
{
    if (options->model_classes) return DIO_OK;
    bool train_only = dio_dataset_has(dataset, DIO_SPLIT_NONE) || !dio_dataset_has(dataset, DIO_SPLIT_TRAIN);
    if (train_only) return DIO_OK;
    uint64_t *counts = dio_alloc_array(ctx, dataset->n_classes, 2 * sizeof *counts, "class counts");
    if (!counts) return DIO_ERR_ENV;
    uint64_t *train = counts, *here = counts + dataset->n_classes;
    dio_dataset_class_counts(dataset, DIO_SPLIT_TRAIN, train);
    dio_status status = DIO_OK;
    for (int s = DIO_SPLIT_VAL; s <= DIO_SPLIT_TEST && status == DIO_OK; s++) {
        enum dio_split split = (enum dio_split)s;
        if (!dio_dataset_has(dataset, split)) continue;
        dio_dataset_class_counts(dataset, split, here);
        for (size_t c = 0; c < dataset->n_classes && status == DIO_OK; c++) {
            if (!here[c] || train[c]) continue;
            struct dio_place place = {.file = shown};
            status = dio_fail(ctx, DIO_ERR_INPUT, "D3", &place, "class \"%s\" is in %s and not in train", dataset->classes[c],
                              dio_split_name(split));
        }
        if (status == DIO_OK) lacking(ctx, dataset, shown, split, train, here);
    }
    dio_free(ctx, counts);
    return status;
}
