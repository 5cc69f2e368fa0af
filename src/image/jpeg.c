/* JPEG through libjpeg-turbo, set as Pillow sets it: accurate integer DCT, smooth chroma upsampling; scaled only where
 * that is asked for. */
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <jpeglib.h>
#include <jerror.h>

#include "image/codec.h"
#include "image/jpeg_scan.h"
#include "image/orient.h"

/* All that lives across a jump out of the library. */
struct reader {
    struct jpeg_error_mgr errors; /* first: the library hands it back as cinfo->err */
    struct jpeg_decompress_struct info;
    struct jpeg_source_mgr source;
    jmp_buf jump;
    struct dio_decode *job;
    const struct dio_jpeg_scan *scan;
    dio_status room;         /* memory for the pixels */
    int32_t shrink;          /* the library's scale: 1 of so many */
    struct dio_region part;  /* of the stored picture, that is decoded */
    bool past_end;   /* the library asked for more than there is */
    bool starved;    /* and pixels were made up for it */
    char warning[JMSG_LENGTH_MAX], failure[JMSG_LENGTH_MAX];
};

static bool probe(const char *name, const uint8_t *bytes, size_t size)
{
    (void)name;
    return size >= 3 && bytes[0] == 0xff && bytes[1] == 0xd8 && bytes[2] == 0xff;
}

static void on_error(j_common_ptr info)
{
    struct reader *reader = (struct reader *)info->err;
    info->err->format_message(info, reader->failure);
    longjmp(reader->jump, 1);
}

static void on_message(j_common_ptr info, int level)
{
    struct reader *reader = (struct reader *)info->err;
    if (level >= 0) return; /* traces */
    const int code = info->err->msg_code;
    if (code == JWRN_JFIF_MAJOR || code == JWRN_ADOBE_XFORM) return; /* about the header, not about pixels */
    if (code == JWRN_HIT_MARKER && ((j_decompress_ptr)info)->unread_marker == JPEG_EOI) reader->starved = true;
    if (!reader->warning[0]) info->err->format_message(info, reader->warning);
}

static void nothing_to_print(j_common_ptr info)
{
    (void)info;
}

static void source_start_end(j_decompress_ptr info)
{
    (void)info;
}

static boolean source_fill(j_decompress_ptr info)
{
    static const JOCTET end[2] = {0xff, JPEG_EOI};
    ((struct reader *)info->err)->past_end = true;
    info->src->next_input_byte = end;
    info->src->bytes_in_buffer = sizeof end;
    return TRUE;
}

static void source_skip(j_decompress_ptr info, long count)
{
    if (count <= 0) return;
    if ((size_t)count > info->src->bytes_in_buffer) {
        source_fill(info);
        return;
    }
    info->src->next_input_byte += count;
    info->src->bytes_in_buffer -= (size_t)count;
}

/* Pillow's CMYK to RGB, after its inversion of all four (which it does with and without Adobe's marker). */
static void cmyk_to_rgb(const uint8_t *in, size_t count, uint8_t *out)
{
    for (size_t i = 0; i < count; i++, in += 4, out += 3) {
        const int light = in[3]; /* 255 - K, K = 255 - sample */
        for (int c = 0; c < 3; c++) {
            const int t = (255 - in[c]) * light + 128;
            out[c] = (uint8_t)(light - (((t >> 8) + t) >> 8));
        }
    }
}

/* So many rows, into `out` or, where that is NULL, to nowhere in particular. */
static void read_rows(struct reader *reader, JDIMENSION end, uint8_t *out)
{
    enum { ROWS = 8 };
    struct jpeg_decompress_struct *info = &reader->info;
    const size_t width = info->output_width;
    const JDIMENSION begin = info->output_scanline;
    uint8_t *spare = reader->job->picture->spare;
    while (info->output_scanline < end) {
        uint8_t *to = out ? out + (info->output_scanline - begin) * width * 3 : NULL;
        if (!out || info->out_color_space == JCS_CMYK) {
            JSAMPROW row = spare;
            if (jpeg_read_scanlines(info, &row, 1) == 1 && out) cmyk_to_rgb(spare, width, to);
            continue;
        }
        JSAMPROW rows[ROWS];
        const JDIMENSION left = end - info->output_scanline, count = left > ROWS ? ROWS : left;
        for (JDIMENSION i = 0; i < count; i++) rows[i] = to + i * width * 3;
        jpeg_read_scanlines(info, rows, count);
    }
}

/* Did the scans that were there bring every coefficient in full? */
static bool progressive_complete(const struct jpeg_decompress_struct *info)
{
    if (!info->coef_bits) return true;
    for (int c = 0; c < info->num_components; c++) {
        for (int k = 0; k < DCTSIZE2; k++) {
            if (info->coef_bits[c][k] != 0) return false;
        }
    }
    return true;
}

/* ---- Windows ---- */

/* The library leaves out what need not be transformed, exactly so where chroma is stored for each pixel or each second. */
static bool can_skip(const struct reader *reader)
{
    const struct dio_jpeg_scan *scan = reader->scan;
    if (scan->arithmetic || scan->components == 4 || !progressive_complete(&reader->info)) return false;
    for (int32_t i = 0; i < scan->components; i++) {
        const struct dio_jpeg_component *component = &scan->component[i];
        if (component->across > 2 || component->down > 2) return false;
    }
    return true;
}

static int32_t orientation_of(const struct reader *reader)
{
    return reader->job->options.ignore_exif ? 1 : dio_jpeg_orientation(reader->scan);
}

static int32_t wanted_shrink(const struct reader *reader)
{
    const struct dio_window *window = reader->job->options.window;
    if (!window || !window->shrink) return 1;
    const struct dio_turn map = dio_turn_of(orientation_of(reader), reader->scan->width, reader->scan->height);
    return window->shrink(window->arg, map.width, map.height);
}

/* The window that was asked for, as it lies in the stored picture. */
static struct dio_region wanted_part(const struct reader *reader)
{
    const struct dio_jpeg_scan *scan = reader->scan;
    const struct dio_region whole = {0, 0, (int32_t)reader->info.output_width, (int32_t)reader->info.output_height};
    const struct dio_decode_options *options = &reader->job->options;
    if (!options->window || !options->window->choose || reader->shrink > 1) return whole;
    const int32_t turned = orientation_of(reader);
    const struct dio_turn map = dio_turn_of(turned, scan->width, scan->height);
    const struct dio_region window = options->window->choose(options->window->arg, map.width, map.height);
    if (!can_skip(reader)) return whole;
    return dio_turn_region(dio_turn_back(turned), map.width, map.height, &window);
}

/* Columns are left out by whole blocks; smooth upsampling looks one chroma sample beyond the pixel, and at the end of what
 * is decoded it finds none. */
static void choose_part(struct reader *reader)
{
    enum { MARGIN = 4, BLOCK = 16 };
    const int32_t width = (int32_t)reader->info.output_width;
    struct dio_region part = wanted_part(reader);
    const int32_t left = part.x < MARGIN ? 0 : (part.x - MARGIN) / BLOCK * BLOCK;
    const int32_t right = part.x + part.width + MARGIN < width ? part.x + part.width + MARGIN : width;
    part.x = left;
    part.width = right - left;
    reader->part = part;
}

/* Before the first row of the part, and behind its last one: coded data is read, and judged, to its end all the same. */
static void pass_over(struct reader *reader, JDIMENSION end)
{
    struct jpeg_decompress_struct *info = &reader->info;
    if (end > info->output_scanline) jpeg_skip_scanlines(info, end - info->output_scanline);
}

static bool decode_part(struct reader *reader)
{
    struct jpeg_decompress_struct *info = &reader->info;
    struct dio_picture *picture = reader->job->picture;
    choose_part(reader);
    const struct dio_region *part = &reader->part;
    reader->room = dio_picture_reserve_part(reader->job->ctx, reader->job->name, info->output_width, info->output_height,
                                            part, 3, DIO_SAMPLE_U8, picture);
    if (reader->room != DIO_OK) return false;
    picture->full_width = reader->scan->width;
    picture->full_height = reader->scan->height;
    picture->shrink = reader->shrink;
    const size_t row = (size_t)info->output_width * 4;
    if (!dio_picture_spare(reader->job->ctx, picture, row)) {
        reader->room = DIO_ERR_ENV;
        return false;
    }
    if (part->width < (int32_t)info->output_width) {
        JDIMENSION left = (JDIMENSION)part->x, width = (JDIMENSION)part->width;
        jpeg_crop_scanline(info, &left, &width);
        if (left != (JDIMENSION)part->x || width != (JDIMENSION)part->width) {
            reader->room = dio_fail(reader->job->ctx, DIO_ERR_INTERNAL, NULL, &(struct dio_place){.file = reader->job->name},
                                    "JPEG: columns %u to %u", (unsigned)left, (unsigned)(left + width));
            return false;
        }
    }
    pass_over(reader, (JDIMENSION)part->y);
    read_rows(reader, (JDIMENSION)(part->y + part->height), picture->data);
    if (info->output_scanline == info->output_height) return true;
    /* Several scans were read as a whole at the start.  In a single one the last row is read, so that all before it was,
     * too: skipping to the very end would leave the rest of the file unread. */
    if (!jpeg_has_multiple_scans(info)) {
        pass_over(reader, info->output_height - 1);
        read_rows(reader, info->output_height, NULL);
    }
    return true;
}

/* False after a jump: the reader has the text. */
static bool run_library(struct reader *reader)
{
    struct jpeg_decompress_struct *info = &reader->info;
    if (setjmp(reader->jump)) return false;
    jpeg_create_decompress(info);
    info->src = &reader->source;
    jpeg_read_header(info, TRUE);
    info->out_color_space = info->num_components == 4 ? JCS_CMYK : JCS_RGB;
    info->dct_method = JDCT_ISLOW;
    info->do_fancy_upsampling = TRUE;
    reader->shrink = wanted_shrink(reader);
    info->scale_num = 1;
    info->scale_denom = (unsigned)reader->shrink;
    jpeg_start_decompress(info);
    if (reader->past_end && !progressive_complete(info)) reader->starved = true;
    if (!decode_part(reader)) return false;
    if (reader->past_end && info->arith_code) reader->starved = true; /* its decoder makes zeros up in silence */
    if (info->output_scanline == info->output_height) jpeg_finish_decompress(info);
    else jpeg_abort_decompress(info);
    return true;
}

static const char *without_prefix(const char *text)
{
    static const char prefix[] = "Corrupt JPEG data: ";
    return strncmp(text, prefix, sizeof prefix - 1) == 0 ? text + sizeof prefix - 1 : text;
}

static dio_status decode(struct dio_decode *job)
{
    struct dio_jpeg_scan scan;
    DIO_PASS(dio_jpeg_scan(job, &scan));
    struct reader reader = {.job = job, .scan = &scan};
    reader.info.err = jpeg_std_error(&reader.errors);
    reader.errors.error_exit = on_error;
    reader.errors.emit_message = on_message;
    reader.errors.output_message = nothing_to_print;
    reader.source = (struct jpeg_source_mgr){job->bytes, job->size, source_start_end, source_fill,
                                             source_skip, jpeg_resync_to_restart, source_start_end};
    const bool done = run_library(&reader);
    jpeg_destroy_decompress(&reader.info);

    struct dio_place place = {.file = job->name};
    if (reader.room != DIO_OK) return reader.room;
    if (!done && reader.errors.msg_code == JERR_OUT_OF_MEMORY) {
        return dio_fail(job->ctx, DIO_ERR_ENV, NULL, &place, "out of memory in libjpeg");
    }
    if ((!done && reader.past_end) || (reader.starved && !job->options.allow_damaged)) {
        return dio_picture_truncated(job);
    }
    if (!done) return dio_fail(job->ctx, DIO_ERR_INPUT, "I12", &place, "JPEG: %s", reader.failure);
    if (reader.starved) {
        dio_picture_note_damage(job->picture, "truncated at byte %zu; the rest is grey", job->size);
    } else if (reader.warning[0]) {
        dio_picture_note_damage(job->picture, "damaged JPEG data (%.80s)", without_prefix(reader.warning));
    }
    job->picture->orientation = dio_jpeg_orientation(&scan);
    job->picture->had_icc = scan.icc;
    job->picture->was_grey = scan.components == 1;
    job->picture->was_cmyk = scan.components == 4;
    return DIO_OK;
}

const struct dio_codec dio_codec_jpeg = {"jpeg", probe, decode};
