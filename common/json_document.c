/* Decoding in place: in a document, a string begins with SV_JSON_DECODED in place of its first quote, then come its bytes, NUL,
 * and spaces up to where it ended. Neither mark can stand anywhere else in a checked text, as control characters have to be
 * escaped, and a decoded string is never longer than it was. So the walks of json.c go through both forms. */
#include "common/json_document.h"

#include <string.h>

#include "common/foreign.h"
#include "common/json_internal.h"
#include "common/limits.h"
#include "common/memory.h"

/* Decodes the strings of a checked text. The offset of one with NUL in it, or `size`. */
static size_t decode_strings(char *text, size_t size) {
    const char *const end = text + size;
    for (char *at = text; (at = memchr(at, '"', (size_t)(end - at))) != NULL;) {
        const sv_json string = sv_json_value_at(at, end);
        size_t length = string.length - 2;
        if (sv_json_is_escaped(string)) {
            length = sv_json_decode(string, at + 1);
            if (memchr(at + 1, '\0', length))
                return (size_t)(at - text);
        }
        *at = SV_JSON_DECODED;
        at[1 + length] = '\0';
        memset(at + 2 + length, ' ', string.length - 2 - length);
        at += string.length;
    }
    return size;
}

senvec_status sv_json_document_read(const char *text, size_t length, const senvec_allocator *allocator, sv_json_document *out,
                                    senvec_error *err) {
    sv_json_document document = {.size = length, .allocator = allocator ? *allocator : sv_default_allocator};
    sv_json root;
    void *copy;
    SENVEC_TRY(sv_json_read(text, length, allocator, &root, err));
    SENVEC_TRY(sv_alloc(&document.allocator, length, 1, "a JSON text", &copy, err));
    document.text = memcpy(copy, text, length);
    const size_t refused = decode_strings(document.text, length);
    if (refused < length) {
        sv_json_document_close(&document);
        return sv_fail(err, SENVEC_FORMAT, refused, "byte %zu: a string with the character NUL", refused);
    }
    document.root = (sv_json){document.text + (root.text - text), root.length, root.kind};
    if (root.kind == SV_JSON_STRING)
        document.root.length = strlen(sv_json_text(document.root)) + 2;
    *out = document;
    return SENVEC_OK;
}

senvec_status sv_json_document_open(const char *path, const void *data, size_t size, sv_json_document *out, senvec_error *err) {
    if (size > SV_MAX_JSON_BYTES)
        return sv_fail(err, SENVEC_TOO_LARGE, 0, "%s: %zu bytes; the maximum is %u", path, size, SV_MAX_JSON_BYTES);
    if (size == 0)
        return sv_fail(err, SENVEC_FORMAT, 0, "%s: the file is empty; fetch it again", path);
    senvec_error problem;
    const senvec_status status = sv_json_document_read(data, size, NULL, out, &problem);
    const char *foreign = status == SENVEC_FORMAT ? sv_foreign_format(data, size) : NULL;
    if (foreign)
        return sv_fail(err, SENVEC_FORMAT, 0, "%s: is %s", path, foreign);
    if (status == SENVEC_FORMAT)
        return sv_fail(err, status, problem.offset, "%s: not valid JSON: %s", path, problem.message);
    if (status != SENVEC_OK)
        return sv_fail(err, status, 0, "%s: %s", path, problem.message);
    return SENVEC_OK;
}

void sv_json_document_close(sv_json_document *document) {
    if (document->text)
        sv_free(&document->allocator, document->text, document->size, 1);
    *document = (sv_json_document){0};
}

/* ------------------------------------------------------------------------------------------------------------------ writing */

void sv_json_write_string(FILE *stream, const char *text) {
    fputc('"', stream);
    for (const unsigned char *at = (const unsigned char *)text; *at; at++) {
        if (*at == '"' || *at == '\\')
            fprintf(stream, "\\%c", *at);
        else if (*at < 0x20)
            fprintf(stream, "\\u%04x", *at);
        else
            fputc(*at, stream);
    }
    fputc('"', stream);
}

void sv_json_write_number(FILE *stream, double number) {
    char text[32];
    snprintf(text, sizeof text, "%.17g", number);
    bool point = false;
    for (const char *at = text; *at; at++) {
        const bool foreign = !strchr("0123456789+-e", *at); /* a locale's decimal point may have several bytes */
        if (!foreign)
            fputc(*at, stream);
        else if (!point)
            fputc('.', stream);
        point = point || foreign;
    }
}
