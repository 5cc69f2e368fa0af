/* Recipes: YAML files whose keys are the options of train (rows Y1 to Y10 of the catalogue of bad input). */
#ifndef DIO_TRAIN_RECIPE_H
#define DIO_TRAIN_RECIPE_H

#include "train/options.h"

/* Reads FILE into options; settings made on the command line before stay.  Relative paths become relative to the recipe's
 * folder.  Failures are DIO_ERR_INPUT with file and line (a file that cannot be opened: DIO_ERR_ENV). */
dio_status dio_recipe_read(struct dio_ctx *ctx, const char *file, struct dio_train_options *options);

/* A refusal of a value that only the model or the data could judge: of one that the recipe set it gets the recipe's file
 * and line, and its status (row Y4).  Gives the status that holds now. */
dio_status dio_recipe_blame(struct dio_ctx *ctx, const struct dio_train_options *options, dio_status status, const char *name);
/* Y10: does what the recipe names exist?  Options set on the command line are checked when they are used. */
dio_status dio_recipe_check_paths(struct dio_ctx *ctx, const struct dio_train_options *options);

/* The resolved recipe: every setting that changes results, in table order, with its help as a comment; paths relative to
 * `folder`, where the recipe is going to lie.  Equal settings give equal text. */
dio_status dio_recipe_write(struct dio_ctx *ctx, const struct dio_train_options *options, const char *folder,
                            struct dio_str *out);

/* Names of settings in which two runs differ, one line each "batch_size was 32, is 64"; settings of the machine and of the
 * command line are left out, and so is an epochs that grew.  Returns how many. */
int dio_recipe_differences(const struct dio_train_options *old_options, const struct dio_train_options *new_options,
                           struct dio_str *out);

#endif
