#include "arch/resolve.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct dio_named_shape *)a)->name, ((const struct dio_named_shape *)b)->name);
}

/* ---- prefixes ---- */

static bool ends_in(const char *name, const char *anchor, size_t *prefix)
{
    size_t length = strlen(name), tail = strlen(anchor);
    if (length < tail || strcmp(name + length - tail, anchor) != 0) return false;
    *prefix = length - tail;
    return *prefix == 0 || name[*prefix - 1] == '.';
}

/* The shortest prefix longer than `above` (-1: any) in front of an anchor of the family; false: no more. */
static bool next_prefix(const struct dio_arch *arch, const struct dio_arch_question *question, int64_t above, char out[256])
{
    const char *best = NULL;
    size_t best_length = 256;
    for (const char *const *anchor = arch->anchors; *anchor; anchor++) {
        for (size_t i = 0; i < question->count; i++) {
            size_t length;
            const char *name = question->tensors[i].name;
            if (!ends_in(name, *anchor, &length) || (int64_t)length <= above || length >= best_length) continue;
            best = name;
            best_length = length;
        }
    }
    if (!best) return false;
    memcpy(out, best, best_length);
    out[best_length] = '\0';
    return true;
}

enum { MAX_PREFIXES = 16 }; /* lengths tried; "module.", "state_dict.model." and the like come first */

static bool recognise(const struct dio_arch *arch, const struct dio_arch_question *question,
                      const struct dio_arch_variant *hint, char prefix[256], struct dio_arch_match *match)
{
    int64_t above = -1;
    for (int i = 0; i < MAX_PREFIXES && next_prefix(arch, question, above, prefix); i++) {
        above = (int64_t)strlen(prefix);
        struct dio_tensor_list list = {question->tensors, question->count, prefix};
        if (arch->recognise(arch, &list, hint, match)) return true;
    }
    prefix[0] = '\0';
    return false;
}

/* ---- tensors that say "a relative" ---- */

static int by_text(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

/* First of the sorted names that is not below the first `length` bytes of `text`. */
static size_t lower_bound(const char *const *names, size_t count, const char *text, size_t length)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strncmp(names[middle], text, length) < 0) low = middle + 1;
        else high = middle;
    }
    return low;
}

/* Does a name lie inside a module of the graph?  `name` itself is no parameter of it. */
static bool inside_module(const char *const *names, size_t count, const char *name)
{
    for (const char *dot = strchr(name, '.'); dot; dot = strchr(dot + 1, '.')) {
        size_t length = (size_t)(dot - name) + 1;
        size_t at = lower_bound(names, count, name, length);
        if (at < count && strncmp(names[at], name, length) == 0) return true;
    }
    return false;
}

static bool is_param(const char *const *names, size_t count, const char *name)
{
    size_t at = lower_bound(names, count, name, strlen(name) + 1);
    return at < count && strcmp(names[at], name) == 0;
}

/* Tensors that the graph lacks, inside its modules (squeeze-and-excitation in a block, a bias of a convolution): the
 * weights are those of a relative, which computes something else. */
static dio_status strange_tensors(struct dio_ctx *ctx, const struct dio_graph *graph,
                                  const struct dio_arch_question *question, const char *prefix, const char **first,
                                  size_t *count)
{
    size_t n = (size_t)graph->n_params, skip = strlen(prefix);
    const char **names = dio_alloc_array(ctx, n + 1, sizeof *names, "parameter names");
    if (!names) return DIO_ERR_ENV;
    for (size_t i = 0; i < n; i++) names[i] = graph->params[i].name;
    qsort(names, n, sizeof *names, by_text);
    *first = NULL;
    *count = 0;
    for (size_t i = 0; i < question->count; i++) {
        const char *name = question->tensors[i].name;
        if (strncmp(name, prefix, skip) != 0 || is_param(names, n, name + skip)) continue;
        if (!inside_module(names, n, name + skip)) continue;
        if (!*first) *first = name;
        ++*count;
    }
    dio_free(ctx, names);
    return DIO_OK;
}

static dio_status check_strange(struct dio_ctx *ctx, const struct dio_arch_question *question,
                                struct dio_arch_answer *answer, bool *strange)
{
    const struct dio_arch_match *match = &answer->match;
    struct dio_arch_config config = dio_arch_config_default(match->variant->name);
    match->arch->defaults(match->variant, &config);
    config.naming = match->naming;
    config.classes = match->classes;
    config.channels = match->channels;
    config.height = config.width = match->variant->size;
    struct dio_graph *graph = NULL;
    DIO_PASS(dio_graph_new(ctx, &graph));
    int features, logits;
    match->arch->build(graph, match->variant, &config, &features, &logits);
    dio_status status = graph->status;
    const char *tensor = NULL;
    size_t count = 0;
    if (status == DIO_OK) status = strange_tensors(ctx, graph, question, answer->prefix, &tensor, &count);
    if (status == DIO_OK) {
        *strange = tensor != NULL;
        if (tensor) {
            char escaped[220], more[48] = "";
            dio_escape(escaped, sizeof escaped, tensor, strlen(tensor), 200);
            if (count > 1) snprintf(more, sizeof more, " and %zu more", count - 1);
            snprintf(answer->why, sizeof answer->why,
                     "names and shapes are those of %s but for %s%s, which it lacks; --arch %s loads the rest",
                     match->variant->name, escaped, more, match->variant->name);
        }
    }
    dio_graph_free(graph);
    return status;
}

/* ---- the order of evidence ---- */

static const char *evidence_text(enum dio_evidence evidence)
{
    switch (evidence) {
    case DIO_EVIDENCE_OPTION: return "--arch";
    case DIO_EVIDENCE_METADATA: return "the file's metadata";
    case DIO_EVIDENCE_CONFIG: return "config.json";
    case DIO_EVIDENCE_NAMES: return "key names";
    case DIO_EVIDENCE_FILE_NAME: return "the file's name";
    case DIO_EVIDENCE_SHAPES: return "names and shapes";
    }
    return "";
}

static void say_why(struct dio_arch_answer *answer)
{
    snprintf(answer->why, sizeof answer->why, "architecture %s, from %s", answer->match.variant->name,
             evidence_text(answer->evidence));
}

/* A tag says what the model is; names and shapes then tell naming, prefix, classes and channels.  Where they contradict
 * the tag, loading says which tensors do. */
static void settle_by_tag(const struct dio_arch_question *question, const struct dio_arch *arch,
                          const struct dio_arch_variant *variant, enum dio_evidence evidence, struct dio_arch_answer *answer)
{
    answer->arch = arch;
    answer->evidence = evidence;
    if (!recognise(arch, question, variant, answer->prefix, &answer->match)) {
        answer->match = (struct dio_arch_match){.naming = arch->namings[0], .channels = 3};
        next_prefix(arch, question, -1, answer->prefix);
    }
    answer->match.arch = arch;
    answer->match.variant = variant;
    answer->match.assumed = NULL;
    say_why(answer);
}

static dio_status settle_by_tensors(struct dio_ctx *ctx, const struct dio_arch_question *question,
                                    struct dio_arch_answer *answer)
{
    const struct dio_arch_variant *named = NULL;
    const struct dio_arch *in_name = dio_arch_in_name(dio_path_base(question->file), &named);
    for (int i = 0; dio_archs[i]; i++) {
        const struct dio_arch *arch = dio_archs[i];
        const struct dio_arch_variant *hint = in_name == arch ? named : NULL;
        if (!recognise(arch, question, hint, answer->prefix, &answer->match)) continue;
        bool strange = false;
        DIO_PASS(check_strange(ctx, question, answer, &strange));
        if (strange) return DIO_OK; /* `why` says it */
        answer->arch = arch;
        answer->evidence = answer->match.by_names                     ? DIO_EVIDENCE_NAMES
                           : hint && answer->match.variant == hint ? DIO_EVIDENCE_FILE_NAME
                                                                      : DIO_EVIDENCE_SHAPES;
        say_why(answer);
        return DIO_OK;
    }
    char known[200] = "";
    for (int i = 0; dio_archs[i]; i++) {
        size_t used = strlen(known);
        snprintf(known + used, sizeof known - used, "%s%s", i ? ", " : "", dio_archs[i]->family);
    }
    if (named) {
        snprintf(answer->why, sizeof answer->why, "the file's name says %s, but its tensors are not those of %s", named->name,
                 named->name);
    } else {
        snprintf(answer->why, sizeof answer->why, "its %zu tensors are of none of the families known here (%s)", question->count,
                 known);
    }
    return DIO_OK;
}

/* "resnet18 to resnext101_64x4d, resnet8_cifar to resnet56b_cifar, ..." */
static void list_variants(char *out, size_t out_size)
{
    size_t used = 0;
    for (int i = 0; dio_archs[i] && used < out_size; i++) {
        const struct dio_arch_variant *last = dio_archs[i]->variants;
        while (last[1].name) last++;
        int written = snprintf(out + used, out_size - used, "%s%s to %s", i ? ", " : "", dio_archs[i]->variants[0].name, last->name);
        used += written > 0 ? (size_t)written : 0;
    }
}

static dio_status unknown_option(struct dio_ctx *ctx, const char *tag)
{
    const char **tags = NULL;
    size_t count = 0;
    DIO_PASS(dio_arch_tags(ctx, &tags, &count));
    const char *near = dio_nearest(tag, tags, count);
    char known[400];
    list_variants(known, sizeof known);
    dio_status status = near ? dio_fail(ctx, DIO_ERR_USAGE, "A4", NULL, "architecture %s is not known; did you mean %s?", tag, near)
                             : dio_fail(ctx, DIO_ERR_USAGE, "A4", NULL, "architecture %s is not known; known are %s", tag, known);
    dio_free(ctx, tags);
    return status;
}

dio_status dio_arch_resolve(struct dio_ctx *ctx, struct dio_arch_question *question, struct dio_arch_answer *answer)
{
    *answer = (struct dio_arch_answer){0};
    if (question->count > 0) qsort(question->tensors, question->count, sizeof *question->tensors, by_name);
    const struct dio_arch_variant *variant = NULL;
    const struct dio_arch *arch;
    if (question->option) {
        arch = dio_arch_find(question->option, &variant);
        if (!arch) return unknown_option(ctx, question->option);
        settle_by_tag(question, arch, variant, DIO_EVIDENCE_OPTION, answer);
        return DIO_OK;
    }
    if (question->metadata && (arch = dio_arch_find(question->metadata, &variant)) != NULL) {
        settle_by_tag(question, arch, variant, DIO_EVIDENCE_METADATA, answer);
        return DIO_OK;
    }
    if (question->config) {
        arch = dio_arch_find(question->config, &variant);
        if (arch) {
            settle_by_tag(question, arch, variant, DIO_EVIDENCE_CONFIG, answer);
        } else {
            char escaped[160], path[160];
            dio_escape(escaped, sizeof escaped, question->config, strlen(question->config), 100);
            dio_escape(path, sizeof path, question->config_path ? question->config_path : "config.json",
                       strlen(question->config_path ? question->config_path : "config.json"), 120);
            snprintf(answer->why, sizeof answer->why, "%s says architecture %s, which is not known here (--arch TAG overrules it)", path, escaped);
        }
        return DIO_OK;
    }
    return settle_by_tensors(ctx, question, answer);
}
