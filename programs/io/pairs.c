/* Three readers of the same file, one for each column, in step. */
#include "io/pairs.h"

#include <stdlib.h>
#include <string.h>

#include "common/limits.h"

enum { COLUMNS = 3, FIRST = 0, SECOND = 1, LABEL = 2 };

/* The whole field is a number. */
static bool parse_label(senvec_text field, double *out) {
    char number[64], *end;
    if (field.length == 0 || field.length >= sizeof number)
        return false;
    memcpy(number, field.data, field.length);
    number[field.length] = '\0';
    *out = strtod(number, &end);
    return *end == '\0';
}

/* Room for `count` pairs, what is there kept. */
static senvec_status grow(sv_pairs *pairs, size_t used, size_t count, senvec_error *err) {
    void *texts, *labels;
    SENVEC_TRY(sv_arena_alloc(&pairs->texts.arena, 2 * count, sizeof(senvec_text), "pairs", &texts, err));
    SENVEC_TRY(sv_arena_alloc(&pairs->texts.arena, count, sizeof(double), "labels", &labels, err));
    if (used) {
        memcpy(texts, pairs->texts.texts, 2 * used * sizeof(senvec_text));
        memcpy(labels, pairs->labels, used * sizeof(double));
    }
    pairs->texts.texts = texts;
    pairs->labels = labels;
    return SENVEC_OK;
}

static senvec_status add(sv_pairs *pairs, const senvec_text *fields, double label, senvec_error *err) {
    for (size_t side = FIRST; side <= SECOND; side++)
        SENVEC_TRY(sv_texts_append(&pairs->texts, fields[side], err));
    pairs->labels[pairs->texts.count / 2 - 1] = label;
    return SENVEC_OK;
}

static senvec_status read_all(sv_pairs *pairs, sv_corpus *readers[COLUMNS], const char *path, senvec_error *err) {
    size_t capacity = 0;
    for (size_t line = 1;; line++) {
        senvec_text fields[COLUMNS];
        bool more = false;
        for (size_t c = 0; c < COLUMNS; c++)
            SENVEC_TRY(sv_corpus_next(readers[c], &fields[c], &more, err));
        if (!more)
            return SENVEC_OK;
        double label;
        if (!parse_label(fields[LABEL], &label)) {
            if (line == 1)
                continue;
            return sv_fail(err, SENVEC_FORMAT, 0, "%s: record %zu: the label \"%.*s\" isn't a number", path, line,
                           fields[LABEL].length < 40 ? (int)fields[LABEL].length : 40, fields[LABEL].data);
        }
        size_t used = pairs->texts.count / 2;
        if (used == SV_MAX_STUDY_TEXTS / 2)
            return sv_fail(err, SENVEC_TOO_LARGE, 0, "%s: over %u pairs; give a sample", path, SV_MAX_STUDY_TEXTS / 2);
        if (used == capacity) {
            capacity = capacity ? 2 * capacity : 1024;
            SENVEC_TRY(grow(pairs, used, capacity, err));
        }
        SENVEC_TRY(add(pairs, fields, label, err));
    }
}

senvec_status sv_pairs_load(sv_pairs *pairs, const char *path, senvec_error *err) {
    static const char *const columns[COLUMNS] = {"1", "2", "3"};
    sv_corpus *readers[COLUMNS] = {NULL};
    *pairs = (sv_pairs){.texts = {.source = path}};
    sv_arena_init(&pairs->texts.arena, NULL);
    senvec_status status = SENVEC_OK;
    for (size_t c = 0; status == SENVEC_OK && c < COLUMNS; c++) {
        const sv_corpus_options options = {.format = SV_CORPUS_CSV, .column = columns[c]};
        status = sv_corpus_open(path, &options, &readers[c], err);
    }
    if (status == SENVEC_OK)
        status = read_all(pairs, readers, path, err);
    if (status == SENVEC_OK && pairs->texts.count < 4)
        status = sv_fail(err, SENVEC_FORMAT, 0, "%s: under two labelled pairs; give lines of: text, text, number", path);
    for (size_t c = 0; c < COLUMNS; c++)
        if (readers[c])
            sv_corpus_close(readers[c]);
    if (status != SENVEC_OK)
        sv_pairs_release(pairs);
    return status;
}

void sv_pairs_release(sv_pairs *pairs) {
    sv_texts_release(&pairs->texts);
    *pairs = (sv_pairs){0};
}
