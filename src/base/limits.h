/* Limits on what untrusted input may ask for, each with the option that lifts it. */
#ifndef DIO_BASE_LIMITS_H
#define DIO_BASE_LIMITS_H

#include <stdint.h>

struct dio_limits {
    uint64_t max_header;   /* --max-header: bytes of a safetensors header */
    uint64_t max_tensors;  /* --max-tensors: tensors in a file, entries in a zip */
    uint64_t max_elements; /* --max-elements: of one tensor */
    uint64_t max_opcodes;  /* --max-opcodes: of a pickle */
    uint64_t max_unpack;   /* --max-unpack: bytes that deflated entries may give; 0: 16 times the file, at least 64 MB */
    uint64_t max_nodes;    /* --max-nodes: of an ONNX graph */
    uint64_t max_pixels;   /* --max-pixels */
    uint64_t max_file;     /* --max-file: bytes of a picture file */
    uint32_t max_scans;    /* --max-scans: of a progressive JPEG */
};

/* Fixed, no option. */
enum {
    DIO_MAX_JSON_DEPTH = 64,
    DIO_MAX_JSON_STRING = 1 << 20,
    DIO_MAX_TENSOR_RANK = 64, /* in files; the engine computes with DIO_MAX_RANK */
    DIO_MAX_TENSOR_NAME = 4096,
    DIO_MAX_PICKLE_DEPTH = 100,
    DIO_MAX_PICKLE_STACK = 10 * 1000 * 1000,
    DIO_MAX_PICKLE_STRING = 16 << 20,
    DIO_MAX_PICKLE_INTEGER = 1024,
    DIO_MAX_PICTURE_SIDE = 65535,
    DIO_MAX_CSV_LINE = 1 << 20,
    DIO_MAX_LABEL = 1024,
    DIO_MAX_RECIPE = 1 << 20,
    DIO_MAX_RECIPE_DEPTH = 16,
    DIO_MAX_CLASSES = 1000 * 1000,
    DIO_MAX_FOLDER_DEPTH = 64
};

struct dio_limits dio_limits_default(void);

#endif
