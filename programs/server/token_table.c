/* Reading tiktoken's files: two passes, the first for the sizes. */
#include "server/token_table.h"

#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/limits.h"
#include "io/base64.h"

/* The parts of a line. False: it isn't "BASE64 ID". */
static bool read_line(const char *line, size_t length, size_t *base64_length, size_t *id) {
    const char *space = memchr(line, ' ', length);
    *base64_length = space ? (size_t)(space - line) : 0;
    *id = 0;
    if (!space || *base64_length == 0 || *base64_length % 4 || *base64_length > SV_MAX_TOKEN_BYTES ||
        space + 1 == line + length)
        return false;
    for (const char *c = space + 1; c < line + length; c++) {
        if (*c < '0' || *c > '9' || *id > SV_MAX_VOCABULARY)
            return false;
        *id = 10 * *id + (size_t)(*c - '0');
    }
    return *id < SV_MAX_VOCABULARY;
}

/* Bytes that `length` characters of base64 stand for. */
static size_t decoded_length(const char *base64, size_t length) {
    return length / 4 * 3 - (base64[length - 1] == '=') - (base64[length - 2] == '=');
}

/* Calls `each` for every line that isn't empty. */
typedef bool line_fn(sv_token_table *table, const char *line, size_t base64_length, size_t id);

static senvec_status each_line(const char *path, const sv_file_map *file, sv_token_table *table, line_fn *each,
                               senvec_error *err) {
    const char *at = (const char *)file->data, *end = at + file->size;
    for (size_t number = 1; at < end; number++) {
        const char *newline = memchr(at, '\n', (size_t)(end - at)), *stop = newline ? newline : end;
        size_t length = (size_t)(stop - at) - (stop > at && stop[-1] == '\r'), base64_length, id;
        if (length > 0 && (!read_line(at, length, &base64_length, &id) || !each(table, at, base64_length, id)))
            return sv_fail(err, SENVEC_FORMAT, (uint64_t)(at - (const char *)file->data),
                           "%s: line %zu isn't a token of tiktoken's form, BASE64 ID", path, number);
        at = stop + 1;
    }
    return SENVEC_OK;
}

static bool measure(sv_token_table *table, const char *line, size_t base64_length, size_t id) {
    table->count = id + 1 > table->count ? id + 1 : table->count;
    table->size += decoded_length(line, base64_length);
    return true;
}

static bool keep(sv_token_table *table, const char *line, size_t base64_length, size_t id) {
    unsigned char decoded[SV_MAX_TOKEN_BYTES];
    size_t length = decoded_length(line, base64_length);
    if (table->tokens[id].length || sv_base64_decode(line, base64_length, decoded) < 0)
        return false;
    memcpy(table->bytes + table->size, decoded, length);
    table->tokens[id] = (sv_token_bytes){(uint32_t)table->size, (uint32_t)length};
    table->size += length;
    return true;
}

static senvec_status read_table(const char *path, const sv_file_map *file, sv_token_table *table, senvec_error *err) {
    SENVEC_TRY(each_line(path, file, table, measure, err));
    table->bytes = malloc(table->size + 1);
    table->tokens = calloc(table->count + 1, sizeof *table->tokens);
    if (!table->bytes || !table->tokens)
        return sv_fail(err, SENVEC_OUT_OF_MEMORY, 0, "%s: no memory for %zu tokens", path, table->count);
    table->size = 0;
    return each_line(path, file, table, keep, err);
}

senvec_status sv_token_table_open(const char *path, sv_token_table *out, senvec_error *err) {
    sv_file_map file;
    sv_token_table table = {.count = 0};
    SENVEC_TRY(sv_file_map_open(path, &file, err));
    senvec_status status =
        file.size > SV_MAX_JSON_BYTES
            ? sv_fail(err, SENVEC_TOO_LARGE, 0, "%s: %zu bytes; a table of tokens has a few million", path, file.size)
            : read_table(path, &file, &table, err);
    sv_file_map_close(&file);
    if (status == SENVEC_OK && table.count == 0)
        status = sv_fail(err, SENVEC_FORMAT, 0, "%s: there are no tokens in it", path);
    if (status == SENVEC_OK)
        *out = table;
    else
        sv_token_table_close(&table);
    return status;
}

void sv_token_table_close(sv_token_table *table) {
    free(table->bytes);
    free(table->tokens);
    *table = (sv_token_table){.count = 0};
}

const char *sv_token_table_find(const sv_token_table *table, uint64_t id, size_t *length) {
    if (id >= table->count || table->tokens[id].length == 0)
        return NULL;
    *length = table->tokens[id].length;
    return table->bytes + table->tokens[id].begin;
}
