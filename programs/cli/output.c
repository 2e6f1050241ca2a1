/* Vectors out.
 *
 * The header of an .npy file says how many rows follow, which nobody knows before the end of the texts. In a file the header is
 * written again at the end. A pipe can't go back: there the floats wait in an unnamed temporary file ($TMPDIR) and are copied
 * behind the right header at the end; the other formats don't need that and pass every vector on at once. */
#include "cli/output.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "io/decimal.h"
#include "io/npy.h"
#include "io/vector_type.h"
#include "system/temporary.h"

enum { BUFFER_BYTES = 1 << 18, COPY_BYTES = 1 << 16 };

const char *const sv_output_choices[] = {
    [SV_OUTPUT_NPY] = "npy", [SV_OUTPUT_JSONL] = "jsonl", [SV_OUTPUT_F32] = "f32",
    [SV_OUTPUT_CSV] = "csv", [SV_OUTPUT_RAW] = "raw",     NULL,
};

const char *const sv_output_type_choices[] = {
    [SV_TYPE_FLOAT32] = "float32",
    [SV_TYPE_FLOAT16] = "float16",
    [SV_TYPE_INT8] = "int8",
    [SV_TYPE_UINT8] = "uint8",
    [SV_TYPE_BINARY] = "binary",
    [SV_TYPE_UBINARY] = "ubinary",
    NULL,
};

/* How NumPy calls the numbers of each type, the bytes of one, and who makes them. */
static const struct {
    const char *numpy;
    size_t bytes;
    sv_vector_type vector;
} types[] = {
    [SV_TYPE_FLOAT32] = {"<f4", 4, SV_VECTOR_FLOAT}, [SV_TYPE_FLOAT16] = {"<f2", 2, SV_VECTOR_FLOAT},
    [SV_TYPE_INT8] = {"|i1", 1, SV_VECTOR_INT8},     [SV_TYPE_UINT8] = {"|u1", 1, SV_VECTOR_UINT8},
    [SV_TYPE_BINARY] = {"|i1", 1, SV_VECTOR_BINARY}, [SV_TYPE_UBINARY] = {"|u1", 1, SV_VECTOR_UBINARY},
};

/* Of the one output; standard output needs it to the end. glibc makes no buffer of a given size itself. */
static char stream_buffer[BUFFER_BYTES];

struct sv_output {
    sv_output_format format;
    sv_output_type type;
    size_t dimensions;
    size_t numbers; /* of a row */
    uint64_t rows;
    sv_atomic_file file; /* stream NULL: standard output */
    FILE *stream;        /* where vectors go */
    FILE *spool;         /* == stream where an .npy for a pipe is collected; else NULL */
    off_t start;         /* of the output in its file: `>>` doesn't begin at 0 */
    char *line;          /* one vector as text */
    void *converted;     /* one vector in the type */
};

senvec_status sv_output_format_of(const char *path, sv_output_format *out, senvec_error *err) {
    const char *slash = path ? strrchr(path, '/') : NULL, *name = slash ? slash + 1 : path;
    const char *dot = name ? strrchr(name, '.') : NULL;
    *out = SV_OUTPUT_JSONL;
    if (!dot || dot == name || strcasecmp(dot, ".ndjson") == 0)
        return SENVEC_OK;
    for (int i = 0; sv_output_choices[i]; i++) {
        if (strcasecmp(dot + 1, sv_output_choices[i]) == 0) {
            *out = (sv_output_format)i;
            return SENVEC_OK;
        }
    }
    return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0,
                   "%s: no format of vectors is called '%s'; name it .npy, .jsonl, .csv, .f32 or .raw, or choose one with -f",
                   path, dot);
}

static senvec_status fail_writing(const sv_output *output, senvec_error *err) {
    int number = errno ? errno : EIO;
    if (output->file.stream)
        return sv_fail(err, SENVEC_IO, 0, "%s: writing failed: %s%s", output->file.path, strerror(number),
                       output->file.temporary[0] ? "; nothing was written" : "");
    return sv_fail(err, SENVEC_IO, 0, "%s: writing failed: %s", output->spool ? "temporary file" : "standard output",
                   strerror(number));
}

/* Whether an earlier part of the output can be written again: a regular file that isn't only appended to. */
static bool can_go_back(FILE *stream, off_t *position) {
    int flags = fcntl(fileno(stream), F_GETFL);
    *position = lseek(fileno(stream), 0, SEEK_CUR);
    return flags >= 0 && !(flags & O_APPEND) && *position >= 0 && !isatty(fileno(stream));
}

static senvec_status write_header(sv_output *output, FILE *to, senvec_error *err) {
    char header[SV_NPY_HEADER_BYTES];
    sv_npy_header(types[output->type].numpy, output->rows, output->numbers, header);
    return fwrite(header, sizeof header, 1, to) == 1 ? SENVEC_OK : fail_writing(output, err);
}

static senvec_status begin_npy(sv_output *output, senvec_error *err) {
    if (can_go_back(output->stream, &output->start))
        return write_header(output, output->stream, err);
    output->spool = sv_temporary_file();
    if (!output->spool)
        return sv_fail(err, SENVEC_IO, 0,
                       "an npy for a pipe needs a temporary file, which can't be made: %s; set TMPDIR, or use --format f32",
                       strerror(errno));
    output->stream = output->spool;
    return SENVEC_OK;
}

senvec_status sv_output_open(const char *path, const sv_output_options *options, sv_output **out, senvec_error *err) {
    sv_output *output = calloc(1, sizeof *output);
    char *line = malloc(options->dimensions * (SV_DECIMAL_MAX + 1) + 64);
    void *converted = malloc(options->dimensions * sizeof(float));
    senvec_status status = SENVEC_OK;
    if (!output || !line || !converted) {
        free(output);
        free(line);
        free(converted);
        return sv_fail(err, SENVEC_OUT_OF_MEMORY, 0, "no memory for the output");
    }
    bool bits = options->type == SV_TYPE_BINARY || options->type == SV_TYPE_UBINARY;
    output->format = options->format;
    output->type = options->type;
    output->dimensions = options->dimensions;
    output->numbers = bits ? (options->dimensions + 7) / 8 : options->dimensions;
    output->line = line;
    output->converted = converted;
    output->stream = stdout;
    if (path && strcmp(path, "-") != 0) {
        status = sv_atomic_file_open(&output->file, path, err);
        if (status == SENVEC_OK)
            output->stream = output->file.stream;
    }
    if (status == SENVEC_OK) {
        setvbuf(output->stream, stream_buffer, _IOFBF, sizeof stream_buffer);
        if (output->format == SV_OUTPUT_NPY)
            status = begin_npy(output, err);
    }
    if (status != SENVEC_OK) {
        sv_output_abort(output);
        return status;
    }
    *out = output;
    return SENVEC_OK;
}

/* The vector in the output's type, in output->converted. */
static const void *convert(const sv_output *output, const float *vector) {
    if (output->type == SV_TYPE_FLOAT16)
        sv_vector_float16(vector, output->dimensions, output->converted);
    else
        sv_vector_convert(types[output->type].vector, vector, output->dimensions, output->converted);
    return output->converted;
}

/* Decimal digits of -128 .. 255. */
static char *put_integer(char *to, int value) {
    if (value < 0)
        *to++ = '-';
    unsigned magnitude = (unsigned)(value < 0 ? -value : value);
    if (magnitude >= 100)
        *to++ = (char)('0' + magnitude / 100);
    if (magnitude >= 10)
        *to++ = (char)('0' + magnitude / 10 % 10);
    *to++ = (char)('0' + magnitude % 10);
    return to;
}

/* "1,2,3"; returns the end. JSON has no word for what isn't finite. */
static char *put_numbers(const sv_output *output, char *to, const float *vector, bool json) {
    const void *converted = output->type == SV_TYPE_FLOAT32 ? vector : convert(output, vector);
    bool is_signed = output->type == SV_TYPE_INT8 || output->type == SV_TYPE_BINARY;
    for (size_t i = 0; i < output->numbers; i++) {
        if (i > 0)
            *to++ = ',';
        if (types[output->type].bytes == 1) {
            to = put_integer(to, is_signed ? ((const int8_t *)converted)[i] : ((const uint8_t *)converted)[i]);
            continue;
        }
        float number = output->type == SV_TYPE_FLOAT16 ? sv_vector_half_to_float(((const uint16_t *)converted)[i]) : vector[i];
        if (json && !isfinite(number)) {
            memcpy(to, "null", 4);
            to += 4;
        } else {
            to += sv_decimal_f32(number, to);
        }
    }
    return to;
}

/* A line in three parts: before the kept fields, those, and behind them. */
static bool write_line(sv_output *output, const sv_output_rows *rows, size_t row) {
    bool json = output->format == SV_OUTPUT_JSONL;
    size_t begin = rows->kept_ends && row ? rows->kept_ends[row - 1] : rows->kept_begin;
    size_t kept = rows->kept_ends ? rows->kept_ends[row] - begin : 0;
    char *to = output->line;
    if (json)
        to += snprintf(to, 64, "{\"index\":%" PRIu64 ",", rows->indices[row]);
    if (kept && (fwrite(output->line, 1, (size_t)(to - output->line), output->stream) != (size_t)(to - output->line) ||
                 fwrite(rows->kept + begin, 1, kept, output->stream) != kept))
        return false;
    if (kept)
        to = output->line;
    if (json) {
        memcpy(to, "\"embedding\":[", 13);
        to += 13;
    }
    to = put_numbers(output, to, rows->vectors + row * rows->stride, json);
    if (json) {
        *to++ = ']';
        *to++ = '}';
    }
    *to++ = '\n';
    return fwrite(output->line, (size_t)(to - output->line), 1, output->stream) == 1;
}

senvec_status sv_output_write(sv_output *output, const sv_output_rows *rows, senvec_error *err) {
    errno = 0;
    bool text = output->format == SV_OUTPUT_JSONL || output->format == SV_OUTPUT_CSV;
    size_t bytes = output->numbers * types[output->type].bytes;
    bool whole = !text && output->type == SV_TYPE_FLOAT32 && rows->stride == output->dimensions;
    if (whole && fwrite(rows->vectors, bytes, rows->count, output->stream) != rows->count)
        return fail_writing(output, err);
    for (size_t i = 0; !whole && i < rows->count; i++)
        if (text ? !write_line(output, rows, i)
                 : fwrite(convert(output, rows->vectors + i * rows->stride), bytes, 1, output->stream) != 1)
            return fail_writing(output, err);
    output->rows += rows->count;
    return SENVEC_OK;
}

senvec_status sv_output_flush(sv_output *output, senvec_error *err) {
    bool seen = !output->spool && !output->file.temporary[0];
    errno = 0;
    return seen && fflush(output->stream) != 0 ? fail_writing(output, err) : SENVEC_OK;
}

/* The header, then the spool, to where they were meant to go. */
static senvec_status copy_spool(sv_output *output, senvec_error *err) {
    FILE *spool = output->spool;
    if (fflush(spool) != 0 || fseeko(spool, 0, SEEK_SET) != 0)
        return fail_writing(output, err);
    output->stream = output->file.stream ? output->file.stream : stdout;
    output->spool = NULL; /* so that a failure names the right file */
    senvec_status status = write_header(output, output->stream, err);
    char buffer[COPY_BYTES];
    size_t count;
    while (status == SENVEC_OK && (count = fread(buffer, 1, sizeof buffer, spool)) > 0)
        if (fwrite(buffer, 1, count, output->stream) != count)
            status = fail_writing(output, err);
    if (status == SENVEC_OK && ferror(spool))
        status = sv_fail(err, SENVEC_IO, 0, "temporary file: reading failed");
    fclose(spool);
    return status;
}

static senvec_status end_npy(sv_output *output, senvec_error *err) {
    if (output->spool)
        return copy_spool(output, err);
    if (fseeko(output->stream, output->start, SEEK_SET) != 0)
        return fail_writing(output, err);
    SENVEC_TRY(write_header(output, output->stream, err));
    return fseeko(output->stream, 0, SEEK_END) == 0 ? SENVEC_OK : fail_writing(output, err);
}

senvec_status sv_output_close(sv_output *output, senvec_error *err) {
    errno = 0;
    senvec_status status = output->format == SV_OUTPUT_NPY ? end_npy(output, err) : SENVEC_OK;
    if (status == SENVEC_OK && output->file.stream)
        status = sv_atomic_file_commit(&output->file, err);
    else if (status == SENVEC_OK && fflush(output->stream) != 0)
        status = fail_writing(output, err);
    sv_output_abort(output);
    return status;
}

void sv_output_abort(sv_output *output) {
    if (!output)
        return;
    sv_atomic_file_abort(&output->file);
    if (output->spool)
        fclose(output->spool);
    free(output->line);
    free(output->converted);
    free(output);
}
