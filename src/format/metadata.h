/* Keys of the metadata in a self-describing model.safetensors, and the small JSON texts under them. */
#ifndef DIO_FORMAT_METADATA_H
#define DIO_FORMAT_METADATA_H

#include "base/memory.h"
#include "base/str.h"

#define DIO_META_ARCHITECTURE "architecture"           /* variant: "resnet18"; absent for graphs of no family */
#define DIO_META_VERSION "diopter.version"             /* "1" */
#define DIO_META_OPTIONS "diopter.options"             /* "bn_eps=1e-05" */
#define DIO_META_NAMES "diopter.names"                 /* naming: "torchvision" */
#define DIO_META_PREFIX "diopter.origin_prefix"        /* "module." */
#define DIO_META_CLASSES "diopter.classes"             /* JSON list */
#define DIO_META_PREPROCESSING "diopter.preprocessing" /* text form of dio_image_recipe */
#define DIO_META_PROVENANCE "diopter.provenance"       /* JSON object of texts, in order */
#define DIO_META_GRAPH "diopter.graph"                 /* text form of dio_graph, for models of no family */
#define DIO_META_FEATURES "diopter.features"           /* value that the head reads, likewise */

enum { DIO_META_CURRENT_VERSION = 1 };

/* Texts read from a file; freed with dio_metadata_texts_free. */
struct dio_metadata_texts {
    struct dio_arena arena;
    const char **keys, **values; /* keys NULL for a list */
    size_t count;
};
/* A JSON list of texts, or an object whose values are texts.  Anything else is refused with `file` and `part`. */
dio_status dio_texts_parse_list(struct dio_ctx *ctx, const char *file, const char *part, const char *json,
                                struct dio_metadata_texts *out);
dio_status dio_texts_parse_map(struct dio_ctx *ctx, const char *file, const char *part, const char *json,
                               struct dio_metadata_texts *out);
/* Lines of a file (--classes): UTF-8, CR LF accepted, empty lines at the end ignored and refused before it. */
dio_status dio_texts_read_lines(struct dio_ctx *ctx, const char *path, struct dio_metadata_texts *out);
void dio_metadata_texts_free(struct dio_metadata_texts *texts);

#endif
