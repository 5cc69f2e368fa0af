/* Structured text as a tree: what JSON and YAML files are read into, and typed reading of it with messages that name the
 * key, its range and its line.
 *
 * Numbers are kept as written: whether "1e1", "4.0" or 2^64 will do is for the reader of the key to say. */
#ifndef DIO_TEXT_TREE_H
#define DIO_TEXT_TREE_H

#include "base/file.h"
#include "base/memory.h"

enum dio_node_type {
    DIO_NODE_NULL,
    DIO_NODE_BOOL,
    DIO_NODE_NUMBER,
    DIO_NODE_TEXT,  /* a quoted string */
    DIO_NODE_PLAIN, /* YAML without quotes: word, number or truth value, as the key wants it */
    DIO_NODE_LIST,
    DIO_NODE_MAP
};

struct dio_tree_node {
    enum dio_node_type type;
    uint32_t line, column;         /* of the value, from 1 */
    uint32_t key_line;             /* of the key, in a map */
    const char *key;               /* in a map, else NULL; no NUL inside */
    const char *text;              /* scalars: content, escapes resolved; terminated; no NUL inside */
    const struct dio_tree_node *items;  /* lists and maps, in the order of the file */
    size_t count;                  /* items, or bytes of text */
};

/* The arena holds everything that nodes point to. */
struct dio_tree {
    struct dio_arena arena;
    const struct dio_tree_node *root;
    const char *file, *part; /* for messages; part may be NULL ("header") */
    const char *code;        /* row of the catalogue for what is wrong with values */
};

void dio_tree_free(struct dio_tree *tree); /* also a zeroed one */

/* NULL: no such key, or not a map. */
const struct dio_tree_node *dio_node_get(const struct dio_tree_node *map, const char *key);
bool dio_node_is(const struct dio_tree_node *node, const char *text); /* a scalar with exactly this text (NULL: false) */

/* "FILE: PART: line L: text", DIO_ERR_INPUT, at a node (NULL: the file as a whole). */
dio_status dio_tree_fail(struct dio_tree *tree, const struct dio_tree_node *node, const char *format, ...) DIO_PRINTF(3, 4);

/* Value of a key.  `found` NULL: the key is required ("KEY is missing").  Otherwise absent and null leave *out alone and
 * set *found false.  Texts belong to the tree. */
dio_status dio_tree_whole(struct dio_tree *tree, const struct dio_tree_node *map, const char *key, int64_t min, int64_t max,
                          int64_t *out, bool *found);
dio_status dio_tree_number(struct dio_tree *tree, const struct dio_tree_node *map, const char *key, double min, double max,
                           double *out, bool *found);
dio_status dio_tree_bool(struct dio_tree *tree, const struct dio_tree_node *map, const char *key, bool *out, bool *found);
dio_status dio_tree_text(struct dio_tree *tree, const struct dio_tree_node *map, const char *key, const char **out, bool *found);
/* One of the words; *out gets its index.  Refused with the nearest one. */
dio_status dio_tree_choice(struct dio_tree *tree, const struct dio_tree_node *map, const char *key, const char *const *words,
                           size_t count, size_t *out, bool *found);
dio_status dio_tree_list(struct dio_tree *tree, const struct dio_tree_node *map, const char *key, const struct dio_tree_node **out,
                         bool *found);
dio_status dio_tree_map(struct dio_tree *tree, const struct dio_tree_node *map, const char *key, const struct dio_tree_node **out,
                        bool *found);
/* A list of exactly `count` numbers. */
dio_status dio_tree_numbers(struct dio_tree *tree, const struct dio_tree_node *map, const char *key, size_t count, double min,
                            double max, double *out, bool *found);

/* The same for a node at hand; `name` is what the message calls it.  min may be the smallest number above an excluded
 * bound: a min of DBL_TRUE_MIN is worded "above 0". */
dio_status dio_node_whole(struct dio_tree *tree, const struct dio_tree_node *node, const char *name, int64_t min, int64_t max,
                          int64_t *out);
dio_status dio_node_number(struct dio_tree *tree, const struct dio_tree_node *node, const char *name, double min, double max,
                           double *out);
dio_status dio_node_bool(struct dio_tree *tree, const struct dio_tree_node *node, const char *name, bool *out);
dio_status dio_node_text(struct dio_tree *tree, const struct dio_tree_node *node, const char *name, const char **out);

/* Refuses keys that are not in `known`, suggesting the nearest; `prefix` ("augment.") stands before the name in messages,
 * may be "". */
dio_status dio_tree_only_keys(struct dio_tree *tree, const struct dio_tree_node *map, const char *prefix,
                              const char *const *known, size_t count);

#endif
