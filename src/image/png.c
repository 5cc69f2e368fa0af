/* PNG: chunks are checked in png_scan.c; libpng gets those that hold pixels and nothing else. */
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <png.h>

#include "base/memory.h"
#include "image/codec.h"
#include "image/png_scan.h"

/* A stretch of the file that libpng is given. */
struct stretch {
    size_t at, end;
};

/* All that lives across a jump out of the library. */
struct reader {
    struct dio_decode *job;
    const struct dio_png_scan *scan;
    png_structp png;
    png_infop info;
    jmp_buf jump;
    struct stretch stretches[3];
    size_t stretch;
    bool exhausted, out_of_memory;
    size_t row_bytes, stride;
    uint8_t *rows;       /* row_bytes each, at `stride` */
    int32_t rows_done;   /* of the last pass */
    char failure[96];
};

static bool probe(const char *name, const uint8_t *bytes, size_t size)
{
    (void)name;
    return size >= 8 && memcmp(bytes, "\x89PNG\r\n\x1a\n", 8) == 0;
}

static void on_error(png_structp png, png_const_charp text)
{
    struct reader *reader = png_get_error_ptr(png);
    snprintf(reader->failure, sizeof reader->failure, "%s", text);
    longjmp(reader->jump, 1);
}

static void on_warning(png_structp png, png_const_charp text)
{
    (void)png;
    (void)text;
}

static png_voidp allocate(png_structp png, png_alloc_size_t size)
{
    struct reader *reader = png_get_mem_ptr(png);
    void *block = dio_alloc(reader->job->ctx, size, "libpng");
    if (!block) reader->out_of_memory = true;
    return block;
}

static void release(png_structp png, png_voidp block)
{
    dio_free(((struct reader *)png_get_mem_ptr(png))->job->ctx, block);
}

static void read_bytes(png_structp png, png_bytep out, size_t count)
{
    struct reader *reader = png_get_io_ptr(png);
    while (count > 0) {
        if (reader->stretch >= sizeof reader->stretches / sizeof reader->stretches[0]) {
            reader->exhausted = true;
            png_error(png, "no more data");
        }
        struct stretch *stretch = &reader->stretches[reader->stretch];
        size_t part = stretch->end - stretch->at;
        if (part > count) part = count;
        memcpy(out, reader->job->bytes + stretch->at, part);
        stretch->at += part;
        out += part;
        count -= part;
        if (stretch->at == stretch->end) reader->stretch++;
    }
}

static void set_transforms(struct reader *reader)
{
    const struct dio_png_scan *scan = reader->scan;
    png_structp png = reader->png;
    if (scan->colour == DIO_PNG_PALETTE) {
        png_set_packing(png);
        return;
    }
    if (scan->colour == DIO_PNG_GREY && scan->depth < 8) png_set_expand_gray_1_2_4_to_8(png);
    if (scan->colour & 4) png_set_strip_alpha(png);
    if (scan->depth == 16) {
        const uint16_t one = 1;
        if (*(const uint8_t *)&one) png_set_swap(png);
    } else if (!(scan->colour & 2)) {
        png_set_gray_to_rgb(png);
    }
}

/* False after a jump: the reader has the text, and how far it came. */
static bool run_library(struct reader *reader)
{
    if (setjmp(reader->jump)) return false;
    png_set_read_fn(reader->png, reader, read_bytes);
    png_set_crc_action(reader->png, PNG_CRC_QUIET_USE, PNG_CRC_QUIET_USE); /* checked already */
    png_set_check_for_invalid_index(reader->png, 0);                       /* we do, and refuse */
    png_set_benign_errors(reader->png, 1);
    png_set_user_limits(reader->png, DIO_MAX_PICTURE_SIDE, DIO_MAX_PICTURE_SIDE);
    png_read_info(reader->png, reader->info);
    set_transforms(reader);
    const int passes = png_set_interlace_handling(reader->png);
    png_read_update_info(reader->png, reader->info);
    if (png_get_rowbytes(reader->png, reader->info) != reader->row_bytes) {
        png_error(reader->png, "rows of another length");
    }
    for (int pass = 0; pass < passes; pass++) {
        for (reader->rows_done = 0; reader->rows_done < reader->scan->height; reader->rows_done++) {
            png_read_row(reader->png, reader->rows + (size_t)reader->rows_done * reader->stride, NULL);
        }
    }
    return true;
}

/* The indices stand in the last third of the picture's memory and are replaced by colours from the front. */
static dio_status apply_palette(const struct reader *reader)
{
    const struct dio_png_scan *scan = reader->scan;
    const uint8_t *palette = reader->job->bytes + scan->palette_at + 8;
    const size_t pixels = (size_t)scan->width * (size_t)scan->height;
    uint8_t *out = reader->job->picture->data;
    const uint8_t *in = out + 2 * pixels;
    for (size_t i = 0; i < pixels; i++, out += 3) {
        const unsigned index = in[i];
        if (index >= scan->palette_colours) {
            return dio_fail(reader->job->ctx, DIO_ERR_INPUT, "I9", &(struct dio_place){.file = reader->job->name},
                            "palette index %u, the palette has %zu colours", index, scan->palette_colours);
        }
        memcpy(out, palette + 3 * index, 3);
    }
    return DIO_OK;
}

/* What the library could not read becomes grey (index 0 in a palette). */
static void fill_rest(struct reader *reader)
{
    const struct dio_png_scan *scan = reader->scan;
    for (int32_t y = reader->rows_done; y < scan->height && !scan->interlaced; y++) {
        memset(reader->rows + (size_t)y * reader->stride, scan->colour == DIO_PNG_PALETTE ? 0 : 128, reader->row_bytes);
    }
}

static dio_status explain(const struct reader *reader)
{
    struct dio_ctx *ctx = reader->job->ctx;
    struct dio_place place = {.file = reader->job->name};
    if (reader->out_of_memory) return DIO_ERR_ENV; /* recorded where it happened */
    if (reader->scan->cut) return dio_picture_truncated(reader->job);
    if (reader->exhausted) {
        return dio_fail(ctx, DIO_ERR_INPUT, "I3", &place, "IDAT: data ends before the last row (row %d of %d)",
                        (int)reader->rows_done + 1, (int)reader->scan->height);
    }
    return dio_fail(ctx, DIO_ERR_INPUT, "I8", &place, "PNG: %s", reader->failure);
}

static dio_status decode(struct dio_decode *job)
{
    struct dio_png_scan scan;
    DIO_PASS(dio_png_scan(job, &scan));
    const bool deep = scan.depth == 16, palette = scan.colour == DIO_PNG_PALETTE;
    const int32_t channels = deep && !(scan.colour & 2) ? 1 : 3;
    struct dio_picture *picture = job->picture;
    DIO_PASS(dio_picture_reserve(job->ctx, job->name, scan.width, scan.height, channels,
                                 deep ? DIO_SAMPLE_U16 : DIO_SAMPLE_U8, picture));
    struct reader reader = {.job = job, .scan = &scan};
    reader.stretches[0] = (struct stretch){0, 8 + 12 + 13};
    reader.stretches[1] = palette ? (struct stretch){scan.palette_at, scan.palette_at + 12 + 3 * scan.palette_colours}
                                  : (struct stretch){0, 0};
    reader.stretches[2] = (struct stretch){scan.data_at, scan.data_end};
    const size_t pixels = (size_t)scan.width * (size_t)scan.height;
    reader.row_bytes = reader.stride =
        palette ? (size_t)scan.width : (size_t)scan.width * (size_t)channels * (deep ? 2u : 1u);
    reader.rows = (uint8_t *)picture->data + (palette ? 2 * pixels : 0);
    if (job->options.allow_damaged) memset(picture->data, 128, dio_picture_bytes(picture));

    reader.png =
        png_create_read_struct_2(PNG_LIBPNG_VER_STRING, &reader, on_error, on_warning, &reader, allocate, release);
    if (reader.png) reader.info = png_create_info_struct(reader.png);
    if (!reader.png || !reader.info) {
        png_destroy_read_struct(&reader.png, &reader.info, NULL);
        return reader.out_of_memory ? DIO_ERR_ENV
                                    : dio_fail(job->ctx, DIO_ERR_INTERNAL, NULL, NULL, "libpng does not start");
    }
    const bool done = run_library(&reader);
    png_destroy_read_struct(&reader.png, &reader.info, NULL);
    if (!done) {
        if (!job->options.allow_damaged || reader.out_of_memory) return explain(&reader);
        fill_rest(&reader);
        dio_picture_note_damage(picture, "damaged or truncated at row %d of %d; the rest is grey",
                                (int)reader.rows_done + 1, (int)scan.height);
    }
    if (palette) DIO_PASS(apply_palette(&reader));
    picture->orientation = scan.exif ? scan.exif : scan.xmp ? scan.xmp : 1;
    picture->had_icc = scan.icc;
    picture->had_gamma = scan.gamma;
    picture->had_alpha = scan.transparent || (scan.colour & 4);
    picture->was_grey = !(scan.colour & 3);
    return DIO_OK;
}

const struct dio_codec dio_codec_png = {"png", probe, decode};
