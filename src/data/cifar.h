#ifndef DIO_DATA_CIFAR_H
#define DIO_DATA_CIFAR_H

#include "data/files.h"
#include "image/picture.h"

enum { DIO_CIFAR_SIDE = 32, DIO_CIFAR_PIXELS = 3 * DIO_CIFAR_SIDE * DIO_CIFAR_SIDE };

/* The pixels of one record (3,072 bytes: all of R, all of G, all of B) as a 32 x 32 RGB8 picture. */
dio_status dio_cifar_decode(struct dio_ctx *ctx, const char *name, const unsigned char *bytes, size_t size,
                            struct dio_picture *picture);

/* Are there files of records in this folder, by name and size, or beside their file of class names? */
bool dio_cifar_has_records(struct dio_ctx *ctx, const struct dio_folder_list *list, const char *folder);

#endif
