/* The parts of dio_model_load that have files of their own. */
#ifndef DIO_FORMAT_LOAD_PARTS_H
#define DIO_FORMAT_LOAD_PARTS_H

#include "format/load.h"

/* A message that waits; the text is formatted here. */
dio_status dio_loaded_message(struct dio_ctx *ctx, struct dio_loaded *loaded, enum dio_level level, const char *code,
                              const char *format, ...) DIO_PRINTF(5, 6);

/* Copies the tensors behind `prefix` into the model's parameters (view: points them at the file's where that is possible);
 * refuses missing ones and wrong shapes, and says what was not used and what is not finite.  why: where the architecture
 * comes from, for a refusal; NULL: the file holds it. */
dio_status dio_load_weights(struct dio_ctx *ctx, struct dio_loaded *loaded, struct dio_model *model, const char *prefix,
                            const char *why, bool view);

/* What config.json says over what is there; *said false: it says nothing about preprocessing.  `given` are the options,
 * which settle what they name.  What contradicts the model's channels is refused under the config's name. */
dio_status dio_recipe_from_config(struct dio_ctx *ctx, const struct dio_origin_config *config,
                                  const struct dio_recipe_override *given, struct dio_image_recipe *recipe, bool *said);

/* Refuses a config.json that describes another network than the one that the weights and names gave. */
dio_status dio_config_describes(struct dio_ctx *ctx, const struct dio_origin_config *config, const struct dio_arch *arch,
                                const struct dio_arch_variant *variant, const char *weights_path);

#endif
