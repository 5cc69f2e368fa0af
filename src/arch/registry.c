#include "arch/arch.h"
#include "base/str.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DIO_ENTRY(name) extern const struct dio_arch dio_arch_##name;
#include "arch/list.def"
#undef DIO_ENTRY

const struct dio_arch *const dio_archs[] = {
#define DIO_ENTRY(name) &dio_arch_##name,
#include "arch/list.def"
#undef DIO_ENTRY
    NULL,
};

static const struct dio_arch *find_exact(const char *tag, size_t length, const struct dio_arch_variant **variant)
{
    for (int i = 0; dio_archs[i]; i++) {
        for (const struct dio_arch_variant *v = dio_archs[i]->variants; v->name; v++) {
            bool same = strlen(v->name) == length && memcmp(v->name, tag, length) == 0;
            for (const char *const *alias = v->aliases; !same && alias && *alias; alias++) {
                same = strlen(*alias) == length && memcmp(*alias, tag, length) == 0;
            }
            if (!same) continue;
            *variant = v;
            return dio_archs[i];
        }
    }
    return NULL;
}

const struct dio_arch *dio_arch_find(const char *tag, const struct dio_arch_variant **variant)
{
    const char *slash = strrchr(tag, '/'); /* "timm/resnet18.a1_in1k" */
    if (slash) tag = slash + 1;
    return find_exact(tag, strcspn(tag, "."), variant);
}

/* Where `tag` stands in `name`, not inside a longer word. */
static bool occurs(const char *name, const char *tag)
{
    size_t length = strlen(tag);
    for (const char *at = strstr(name, tag); at; at = strstr(at + 1, tag)) {
        bool starts = at == name || !isalnum((unsigned char)at[-1]);
        if (starts && !isalnum((unsigned char)at[length])) return true;
    }
    return false;
}

const struct dio_arch *dio_arch_in_name(const char *file_name, const struct dio_arch_variant **variant)
{
    const struct dio_arch *found = NULL;
    size_t longest = 0;
    for (int i = 0; dio_archs[i]; i++) {
        for (const struct dio_arch_variant *v = dio_archs[i]->variants; v->name; v++) {
            const char *const *alias = v->aliases;
            for (const char *tag = v->name; tag; tag = alias && *alias ? *alias++ : NULL) {
                if (strlen(tag) <= longest || !occurs(file_name, tag)) continue;
                longest = strlen(tag);
                found = dio_archs[i];
                *variant = v;
            }
        }
    }
    return found;
}

dio_status dio_arch_tags(struct dio_ctx *ctx, const char ***tags, size_t *count)
{
    size_t n = 0;
    for (int i = 0; dio_archs[i]; i++) {
        for (const struct dio_arch_variant *v = dio_archs[i]->variants; v->name; v++) n++;
    }
    *count = n;
    *tags = dio_alloc_array(ctx, n, sizeof **tags, "architecture tags");
    if (!*tags) return DIO_ERR_ENV;
    n = 0;
    for (int i = 0; dio_archs[i]; i++) {
        for (const struct dio_arch_variant *v = dio_archs[i]->variants; v->name; v++) (*tags)[n++] = v->name;
    }
    return DIO_OK;
}

bool dio_arch_has_naming(const struct dio_arch *arch, enum dio_naming naming)
{
    for (int i = 0; i < 4 && arch->namings[i] != DIO_NAMES_ORIGIN; i++) {
        if (arch->namings[i] == naming) return true;
    }
    return naming == DIO_NAMES_ORIGIN;
}

const struct dio_shape *dio_tensor_list_find(const struct dio_tensor_list *list, const char *format, ...)
{
    char name[512];
    size_t length = strlen(list->prefix);
    if (length >= sizeof name) return NULL;
    memcpy(name, list->prefix, length + 1);
    va_list args;
    va_start(args, format);
    int written = vsnprintf(name + length, sizeof name - length, format, args);
    va_end(args);
    if (written < 0 || (size_t)written >= sizeof name - length) return NULL;
    size_t low = 0, high = list->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(name, list->items[middle].name);
        if (order == 0) return &list->items[middle].shape;
        if (order < 0) high = middle;
        else low = middle + 1;
    }
    return NULL;
}
