/* Models to files: the self-describing one of a run, and those that other programs read. */
#ifndef DIO_FORMAT_SAVE_H
#define DIO_FORMAT_SAVE_H

#include "format/format.h"
#include "model/model.h"

/* safetensors whose metadata has architecture, options, classes, preprocessing and provenance (the graph too, for a model
 * of no family); dio_model_load reads it back to the same bits.  Names are the graph's. */
dio_status dio_model_save(struct dio_ctx *ctx, const struct dio_model *model, const char *path);

/* The config.json with which timm's create_model("local-dir:FOLDER") loads the weights beside it; *written is false
 * where timm does not know the architecture or the names are not timm's. */
dio_status dio_model_save_config(struct dio_ctx *ctx, const struct dio_model *model, enum dio_naming naming,
                                 const char *folder, bool *written);
/* The same keys under our own name of an architecture that timm has not; *written is false where timm has it, and for a
 * model of no family. */
dio_status dio_model_save_own_config(struct dio_ctx *ctx, const struct dio_model *model, enum dio_naming naming,
                                     const char *folder, bool *written);
/* Has timm this very model, under whatever names? */
bool dio_timm_has(const struct dio_model *model);
/* Are the graph's names, put into `naming`, those of timm? */
dio_status dio_timm_names(const struct dio_model *model, enum dio_naming naming, bool *out);

struct dio_export_options {
    enum dio_naming naming;  /* ORIGIN: as the weights came, prefix included */
    enum dio_dtype floats;   /* DIO_F32, DIO_F16, DIO_BF16 */
    bool free_naming;        /* nobody asked for the naming: a folder gets timm's where timm has the model */
};

/* By the name's ending: .safetensors, .pth or .pt a file; none: a folder with model.safetensors and config.json (timm's,
 * or where timm lacks the architecture dio_model_save_own_config's; none under names that timm does not know).
 * Another ending, and a naming that the family lacks: DIO_ERR_USAGE, before anything is written.  That nothing is
 * overwritten is the caller's business. */
dio_status dio_model_export(struct dio_ctx *ctx, const struct dio_model *model, const char *path,
                            const struct dio_export_options *options);

#endif
