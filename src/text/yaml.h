/* Recipes: a small part of YAML, read into a tree through libyaml's events, and written.
 *
 * Block mappings and lists, flow lists and mappings, plain and quoted scalars, comments.  Refused with line (and column):
 * tabs, control characters, anything but UTF-8, nesting above 16, keys above 256 bytes, a key twice, anchors, aliases, tags,
 * merge keys, block scalars, more than one document, a root that is not a mapping. */
#ifndef DIO_TEXT_YAML_H
#define DIO_TEXT_YAML_H

#include "base/str.h"
#include "text/tree.h"

dio_status dio_yaml_parse(struct dio_ctx *ctx, const char *file, const void *bytes, size_t length, struct dio_tree *tree);
dio_status dio_yaml_read(struct dio_ctx *ctx, const char *path, struct dio_tree *tree); /* at most DIO_MAX_RECIPE bytes */

/* Writing: one "key: value" a line; what reads back as the same tree. */
struct dio_yaml_writer {
    struct dio_str *out; /* failed appends are found there: dio_str_status */
    int depth;
};
void dio_yaml_begin(struct dio_yaml_writer *writer, struct dio_str *out);
void dio_yaml_comment(struct dio_yaml_writer *writer, const char *text); /* may have several lines */
void dio_yaml_map(struct dio_yaml_writer *writer, const char *key);
void dio_yaml_end_map(struct dio_yaml_writer *writer);
void dio_yaml_text(struct dio_yaml_writer *writer, const char *key, const char *text); /* quoted where it has to be */
/* A value written elsewhere as text ("0.01", "sgd", "true", "[1, 2]"), unquoted. */
void dio_yaml_raw(struct dio_yaml_writer *writer, const char *key, const char *value);

#endif
