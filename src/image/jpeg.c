/* JPEG through libjpeg-turbo, set as Pillow sets it: accurate integer DCT, smooth chroma upsampling, no scaling. */
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <jpeglib.h>
#include <jerror.h>

#include "image/codec.h"
#include "image/jpeg_scan.h"

/* All that lives across a jump out of the library. */
struct reader {
    struct jpeg_error_mgr errors; /* first: the library hands it back as cinfo->err */
    struct jpeg_decompress_struct info;
    struct jpeg_source_mgr source;
    jmp_buf jump;
    struct dio_decode *job;
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

static void read_rows(struct reader *reader)
{
    struct jpeg_decompress_struct *info = &reader->info;
    struct dio_picture *picture = reader->job->picture;
    const size_t width = (size_t)picture->width;
    const bool cmyk = info->out_color_space == JCS_CMYK;
    while (info->output_scanline < info->output_height) {
        uint8_t *out = (uint8_t *)picture->data + (size_t)info->output_scanline * width * 3;
        if (cmyk) {
            JSAMPROW row = picture->spare;
            if (jpeg_read_scanlines(info, &row, 1) == 1) cmyk_to_rgb(picture->spare, width, out);
        } else {
            enum { ROWS = 8 };
            JSAMPROW rows[ROWS];
            JDIMENSION count = info->output_height - info->output_scanline;
            if (count > ROWS) count = ROWS;
            for (JDIMENSION i = 0; i < count; i++) rows[i] = out + i * width * 3;
            jpeg_read_scanlines(info, rows, count);
        }
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
    jpeg_start_decompress(info);
    if (reader->past_end && !progressive_complete(info)) reader->starved = true;
    read_rows(reader);
    if (reader->past_end && info->arith_code) reader->starved = true; /* its decoder makes zeros up in silence */
    jpeg_finish_decompress(info);
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
    DIO_PASS(dio_picture_reserve(job->ctx, job->name, scan.width, scan.height, 3, DIO_SAMPLE_U8, job->picture));
    if (scan.components == 4 && !dio_picture_spare(job->ctx, job->picture, (size_t)scan.width * 4)) return DIO_ERR_ENV;

    struct reader reader = {.job = job};
    reader.info.err = jpeg_std_error(&reader.errors);
    reader.errors.error_exit = on_error;
    reader.errors.emit_message = on_message;
    reader.errors.output_message = nothing_to_print;
    reader.source = (struct jpeg_source_mgr){job->bytes, job->size, source_start_end, source_fill,
                                             source_skip, jpeg_resync_to_restart, source_start_end};
    const bool done = run_library(&reader);
    jpeg_destroy_decompress(&reader.info);

    struct dio_place place = {.file = job->name};
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
    job->picture->orientation = scan.exif ? scan.exif : scan.xmp ? scan.xmp : 1;
    job->picture->had_icc = scan.icc;
    job->picture->was_grey = scan.components == 1;
    job->picture->was_cmyk = scan.components == 4;
    return DIO_OK;
}

const struct dio_codec dio_codec_jpeg = {"jpeg", probe, decode};
