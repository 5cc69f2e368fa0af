/* check_recipe FILE: the verdict on a recipe, for the hostile files of run_vectors.sh (CMD_recipe_yaml='{file}'). */
#include <stdio.h>

#include "train/recipe.h"

int main(int argc, char **argv)
{
    struct dio_alloc_stats stats = {0};
    struct dio_ctx ctx;
    struct dio_train_options options;
    char text[4096];
    if (argc != 2) return 2;
    dio_ctx_init(&ctx, &stats);
    dio_status status = dio_train_options_init(&ctx, &options);
    if (status == DIO_OK) status = dio_recipe_read(&ctx, argv[1], &options);
    if (status == DIO_OK) status = dio_train_options_check(&ctx, &options);
    if (status == DIO_OK) status = dio_recipe_check_paths(&ctx, &options);
    dio_train_options_free(&options);
    if (status != DIO_OK) {
        dio_message_format(&ctx.error, text, sizeof text);
        fprintf(stderr, "diopter: %s\n", text);
    }
    return (int)status;
}
