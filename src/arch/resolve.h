/* Which architecture a file of weights holds, and on what evidence. */
#ifndef DIO_ARCH_RESOLVE_H
#define DIO_ARCH_RESOLVE_H

#include "arch/arch.h"

enum dio_evidence {
    DIO_EVIDENCE_OPTION,    /* --arch */
    DIO_EVIDENCE_METADATA,  /* the file's own */
    DIO_EVIDENCE_CONFIG,    /* config.json beside it */
    DIO_EVIDENCE_NAMES,     /* key names that only one family has */
    DIO_EVIDENCE_FILE_NAME, /* a tag in the file's name */
    DIO_EVIDENCE_SHAPES     /* shapes, and the family's default */
};

struct dio_arch_question {
    const char *file;       /* for messages and for the tag in its name */
    const char *option;     /* --arch TAG, or NULL */
    const char *metadata;   /* architecture in the file's metadata, or NULL */
    const char *config;     /* architecture in config.json, or NULL */
    const char *config_path;
    struct dio_named_shape *tensors; /* sorted here */
    size_t count;
};

struct dio_arch_answer {
    const struct dio_arch *arch;    /* NULL: unknown, `why` says what was looked for */
    struct dio_arch_match match;    /* naming, classes and channels also where a tag settled the rest */
    enum dio_evidence evidence;
    char prefix[256];               /* in front of every tensor that the model wants */
    char why[512];                  /* "architecture resnet18, from key names"; match.assumed says what that leaves open */
};

/* An unknown tag in --arch is DIO_ERR_USAGE with the nearest known one; all else that is not known gives arch NULL. */
dio_status dio_arch_resolve(struct dio_ctx *ctx, struct dio_arch_question *question, struct dio_arch_answer *answer);

#endif
