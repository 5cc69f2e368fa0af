/* Which files of a folder are pictures. */
#ifndef DIO_DATA_PICTURES_H
#define DIO_DATA_PICTURES_H

#include "data/files.h"

/* By its name; files without a known ending are looked into. */
bool dio_ref_is_picture(struct dio_ctx *ctx, const struct dio_ref *ref);
/* Leaves only pictures in the list; the others are counted in one warning (D8). */
dio_status dio_files_keep_pictures(struct dio_ctx *ctx, struct dio_files *files);

#endif
