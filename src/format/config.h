/* Parts of dio_read_config: one file for each library that writes config.json. */
#ifndef DIO_FORMAT_CONFIG_H
#define DIO_FORMAT_CONFIG_H

#include "format/format.h"
#include "text/json.h"

struct dio_config_reader {
    struct dio_tree *tree;
    struct dio_origin_config *out;
};

/* The value of a text key, copied into the config's arena; absent or null leaves *out alone. */
dio_status dio_config_text(struct dio_config_reader *reader, const struct dio_tree_node *map, const char *key, const char **out);
dio_status dio_config_copy(struct dio_config_reader *reader, const char *text, const char **out);
/* A list of 1 to 16 numbers. */
dio_status dio_config_numbers(struct dio_config_reader *reader, const struct dio_tree_node *map, const char *key, double min,
                              double *out, int *count);
/* A list of class names; absent or null leaves them alone. */
dio_status dio_config_labels(struct dio_config_reader *reader, const struct dio_tree_node *map, const char *key);

dio_status dio_config_timm(struct dio_config_reader *reader);
dio_status dio_config_transformers(struct dio_config_reader *reader);
/* preprocessor_config.json, a tree of its own. */
dio_status dio_config_preprocessor(struct dio_config_reader *reader);

enum { DIO_MAX_SIDE = 65536 };

#endif
