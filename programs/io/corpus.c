/* Texts from files: picks the format and hands its texts out. */
#include "io/corpus.h"

#include <stdlib.h>
#include <string.h>

#include "io/formats.h"

struct sv_corpus {
    sv_reader reader;
    sv_corpus_options options;
    sv_json_source json;
    sv_csv_source csv;
    uint64_t records; /* begun, broken ones included */
    uint64_t skipped;
    senvec_error first_skipped;
};

/* Whether `name` ends in `ending`, whatever the case; the name's length without it, else 0. */
static size_t without(const char *name, size_t length, const char *ending) {
    size_t tail = strlen(ending);
    return length > tail && strncasecmp(name + length - tail, ending, tail) == 0 ? length - tail : 0;
}

static sv_corpus_format choose_format(const char *path, const sv_corpus_options *options) {
    static const char *const packed[] = {".gz", ".zst", ".zstd"};
    static const struct {
        const char *ending;
        sv_corpus_format format;
    } endings[] = {
        {".jsonl", SV_CORPUS_JSONL}, {".ndjson", SV_CORPUS_JSONL}, {".json", SV_CORPUS_JSONL},
        {".csv", SV_CORPUS_CSV},     {".tsv", SV_CORPUS_TSV},
    };
    if (options->format != SV_CORPUS_AUTO)
        return options->format;
    size_t length = strlen(path);
    for (size_t i = 0; i < sizeof packed / sizeof *packed; i++) {
        size_t shorter = without(path, length, packed[i]);
        if (shorter) {
            length = shorter;
            break;
        }
    }
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
        if (without(path, length, endings[i].ending))
            return endings[i].format;
    return options->key ? SV_CORPUS_JSONL : options->column ? SV_CORPUS_CSV : SV_CORPUS_LINES;
}

/* Fills in what the format decides. */
static void complete(sv_corpus_options *options, const char *path) {
    options->format = choose_format(path, options);
    if (!options->separator)
        options->separator = options->format == SV_CORPUS_TSV ? '\t' : ',';
    if (options->quoting == SV_QUOTING_AUTO)
        options->quoting = options->separator == '\t' ? SV_QUOTING_NONE : SV_QUOTING_CSV;
}

senvec_status sv_corpus_open(const char *path, const sv_corpus_options *options, sv_corpus **out, senvec_error *err) {
    sv_corpus *corpus = calloc(1, sizeof *corpus);
    if (!corpus)
        return sv_fail(err, SENVEC_OUT_OF_MEMORY, 0, "%s: no memory to read it", path);
    corpus->options = *options;
    complete(&corpus->options, path);
    corpus->json.key = options->key;
    sv_corpus_format format = corpus->options.format;
    senvec_status status = SENVEC_OK;
    if (format == SV_CORPUS_LINES && options->keep_count)
        status = sv_fail(err, SENVEC_INVALID_ARGUMENT, 0, "%s: lines have no fields to keep; name a --key or a --column", path);
    if (status == SENVEC_OK)
        status = sv_reader_open(&corpus->reader, path, err);
    if (status == SENVEC_OK && (format == SV_CORPUS_CSV || format == SV_CORPUS_TSV))
        status = sv_csv_open(&corpus->csv, &corpus->reader, &corpus->options, err);
    if (status != SENVEC_OK) {
        sv_corpus_close(corpus);
        return status;
    }
    *out = corpus;
    return SENVEC_OK;
}

static senvec_status next_record(sv_corpus *corpus, senvec_text *text, bool *more, senvec_error *err) {
    switch (corpus->options.format) {
    case SV_CORPUS_JSONL:
        return sv_json_next(&corpus->json, &corpus->reader, text, more, err);
    case SV_CORPUS_CSV:
    case SV_CORPUS_TSV:
        return sv_csv_next(&corpus->csv, &corpus->reader, text, more, err);
    default:
        return sv_reader_line(&corpus->reader, text, more, err);
    }
}

senvec_status sv_corpus_next(sv_corpus *corpus, senvec_text *text, bool *more, senvec_error *err) {
    for (;;) {
        senvec_error problem;
        corpus->reader.damage = SV_DAMAGE_FILE;
        senvec_status status = next_record(corpus, text, more, &problem);
        corpus->records += status != SENVEC_OK || *more;
        if (status == SENVEC_OK)
            return status;
        if (!corpus->options.skip_bad || corpus->reader.damage == SV_DAMAGE_FILE) {
            if (err)
                *err = problem;
            return status;
        }
        if (corpus->skipped++ == 0)
            corpus->first_skipped = problem;
        if (corpus->reader.damage == SV_DAMAGE_LINE)
            SENVEC_TRY(sv_reader_skip_line(&corpus->reader, err));
    }
}

void sv_corpus_progress(const sv_corpus *corpus, uint64_t *done, uint64_t *total) {
    *done = sv_reader_position(&corpus->reader);
    *total = corpus->reader.size;
}

uint64_t sv_corpus_records(const sv_corpus *corpus) {
    return corpus->records;
}

sv_corpus_value sv_corpus_kept(const sv_corpus *corpus, size_t index) {
    sv_corpus_value value = {.kind = SV_VALUE_MISSING};
    if (corpus->options.format == SV_CORPUS_JSONL) {
        if (sv_json_find(corpus->json.record, corpus->options.keep[index], &value.json))
            value.kind = SV_VALUE_JSON;
    } else if (sv_csv_field(&corpus->csv, corpus->csv.kept[index], &value.text)) {
        value.kind = SV_VALUE_STRING;
    }
    return value;
}

uint64_t sv_corpus_skipped(const sv_corpus *corpus, const char **first) {
    *first = corpus->skipped ? corpus->first_skipped.message : NULL;
    return corpus->skipped;
}

void sv_corpus_close(sv_corpus *corpus) {
    if (!corpus)
        return;
    sv_json_release(&corpus->json);
    sv_csv_release(&corpus->csv);
    sv_reader_close(&corpus->reader);
    free(corpus);
}
