/* Private to text/: building a tree without recursion.  Children of all open lists and maps lie on one stack, the innermost
 * last; closing a list or map moves its children to the arena. */
#ifndef DIO_TEXT_TREE_BUILD_H
#define DIO_TEXT_TREE_BUILD_H

#include "text/tree.h"

enum { DIO_BUILD_DEPTH = DIO_MAX_JSON_DEPTH };

struct dio_tree_build {
    struct dio_tree *tree;
    struct dio_tree_node *stack;
    size_t used, capacity;
    size_t open_at[DIO_BUILD_DEPTH + 1]; /* index in the stack of each open list or map */
    int depth;
    const char *twice_code;              /* row of the catalogue for a key that appears twice */
    const char *key;                     /* of the next value */
    uint32_t key_line;
};

/* Initialises the tree, too.  The strings are copied. */
dio_status dio_build_begin(struct dio_tree_build *build, struct dio_ctx *ctx, const char *file, const char *part,
                           const char *code, struct dio_tree *tree);
dio_status dio_build_key(struct dio_tree_build *build, const char *text, size_t length, uint32_t line);
dio_status dio_build_scalar(struct dio_tree_build *build, enum dio_node_type type, const char *text, size_t length,
                            uint32_t line, uint32_t column);
/* The caller limits the depth to DIO_BUILD_DEPTH. */
dio_status dio_build_open(struct dio_tree_build *build, enum dio_node_type type, uint32_t line, uint32_t column);
dio_status dio_build_close(struct dio_tree_build *build); /* keys that appear twice are found here */
dio_status dio_build_finish(struct dio_tree_build *build); /* sets the tree's root */
/* In any case at last; after a failure free the tree as well. */
void dio_build_free(struct dio_tree_build *build);

#endif
