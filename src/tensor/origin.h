/* What the config files beside weights say about them, as plain data: filled by format/, used by arch/ and model/.
 * Pointers are NULL, counts 0 and numbers NAN or 0 where a file was silent. */
#ifndef DIO_TENSOR_ORIGIN_H
#define DIO_TENSOR_ORIGIN_H

#include "base/memory.h"

enum dio_origin_library { DIO_ORIGIN_NONE, DIO_ORIGIN_TIMM, DIO_ORIGIN_TRANSFORMERS, DIO_ORIGIN_DIOPTER };

struct dio_origin_config {
    struct dio_arena arena;      /* owns all texts */
    enum dio_origin_library library;
    const char *path;            /* of the config.json read */
    const char *architecture;    /* timm "tf_efficientnet_lite0"; transformers: first of "architectures" */
    const char *model_type;      /* transformers: "resnet", "vit" */
    const char *tag;             /* timm: "in1k" */
    const char *classifier;      /* timm: name of the classifier, "classifier" or "fc" */
    const char *license;
    int64_t num_classes;         /* -1: not said */
    const char **labels;         /* class names in order; NULL where the file has none */
    size_t label_count;
    /* preprocessing */
    int64_t input_size[3];       /* C, H, W; 0: not said */
    double mean[16], std[16];
    int mean_count, std_count;   /* 0: not said */
    double crop_pct;             /* NAN: not said */
    const char *crop_mode;       /* timm: "center", "squash", "border" */
    const char *interpolation;   /* "nearest", "lanczos", "bilinear", "bicubic", "box", "hamming" */
    int64_t resize_shortest;     /* transformers' shortest_edge; 0: not said */
    int64_t resize_height, resize_width; /* transformers' squash; 0: not said */
    int64_t crop_height, crop_width;     /* transformers' centre crop; 0: none or not said */
    double rescale;              /* transformers' rescale_factor; NAN: not said */
    bool has_do_resize, do_resize, has_do_normalize, do_normalize, has_do_center_crop, do_center_crop;
    /* model arguments that change the graph and are not seen in shapes */
    double bn_eps;               /* timm model_args.bn_eps / norm_eps, transformers batch_norm_eps; NAN: not said */
    const char *padding;         /* timm model_args.pad_type: "same" or ""; else NULL */
    const char *activation;      /* transformers hidden_act; NULL: not said */
    const char *global_pool;     /* timm; NULL: not said */
    const char *strange_arg;     /* the first of timm's model_args that is not known here; NULL: none */
};

#endif
