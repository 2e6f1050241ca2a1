/* Texts from files: picks the format and hands its texts out. */
#include "io/corpus.h"

#include <stdlib.h>
#include <string.h>

#include "io/formats.h"

struct sv_corpus {
    sv_reader reader;
    sv_corpus_format format;
    char *key;
    sv_json_source json;
    sv_csv_source csv;
};

static sv_corpus_format choose_format(const char *path, const sv_corpus_options *options) {
    static const struct {
        const char *ending;
        sv_corpus_format format;
    } endings[] = {
        {".jsonl", SV_CORPUS_JSONL}, {".ndjson", SV_CORPUS_JSONL}, {".json", SV_CORPUS_JSONL},
        {".csv", SV_CORPUS_CSV},     {".tsv", SV_CORPUS_TSV},
    };
    if (options->format != SV_CORPUS_AUTO)
        return options->format;
    const char *dot = strrchr(path, '.');
    for (size_t i = 0; dot && i < sizeof endings / sizeof *endings; i++)
        if (strcasecmp(dot, endings[i].ending) == 0)
            return endings[i].format;
    return options->key ? SV_CORPUS_JSONL : options->column ? SV_CORPUS_CSV : SV_CORPUS_LINES;
}

/* Takes a UTF-8 byte order mark. UTF-16 is refused: as bytes it would give vectors, but of nonsense. It is told by its mark and
 * by a first character below U+0100, so that a stray FF FE is not. */
static senvec_status skip_mark(sv_reader *reader, senvec_error *err) {
    int first;
    SENVEC_TRY(sv_reader_peek(reader, &first, err));
    if (first != 0xef && first != 0xfe && first != 0xff)
        return SENVEC_OK; /* without waiting for more: a pipe may bring one short line and then pause */
    while (reader->filled < 4 && !reader->end)
        SENVEC_TRY(sv_reader_fill(reader, err));
    const unsigned char *data = (const unsigned char *)reader->data;
    if (reader->filled >= 3 && memcmp(data, "\xef\xbb\xbf", 3) == 0)
        sv_reader_take(reader, 3);
    if (reader->filled >= 4 && ((memcmp(data, "\xff\xfe", 2) == 0 && data[2] && !data[3]) ||
                                (memcmp(data, "\xfe\xff", 2) == 0 && !data[2] && data[3])))
        return sv_fail(err, SENVEC_FORMAT, 0, "%s: UTF-16; convert it (iconv -f UTF-16 -t UTF-8)", reader->name);
    return SENVEC_OK;
}

senvec_status sv_corpus_open(const char *path, const sv_corpus_options *options, sv_corpus **out, senvec_error *err) {
    sv_corpus *corpus = calloc(1, sizeof *corpus);
    char *key = options->key ? strdup(options->key) : NULL;
    if (!corpus || (options->key && !key)) {
        free(corpus);
        return sv_fail(err, SENVEC_OUT_OF_MEMORY, 0, "%s: no memory to read it", path);
    }
    corpus->format = choose_format(path, options);
    corpus->key = key;
    corpus->json.key = key;
    senvec_status status = sv_reader_open(&corpus->reader, path, err);
    if (status == SENVEC_OK)
        status = skip_mark(&corpus->reader, err);
    if (status == SENVEC_OK && (corpus->format == SV_CORPUS_CSV || corpus->format == SV_CORPUS_TSV))
        status = sv_csv_open(&corpus->csv, &corpus->reader, corpus->format == SV_CORPUS_TSV ? '\t' : ',', options->column, err);
    if (status != SENVEC_OK) {
        sv_corpus_close(corpus);
        return status;
    }
    *out = corpus;
    return SENVEC_OK;
}

senvec_status sv_corpus_next(sv_corpus *corpus, senvec_text *text, bool *more, senvec_error *err) {
    switch (corpus->format) {
    case SV_CORPUS_JSONL:
        return sv_json_next(&corpus->json, &corpus->reader, text, more, err);
    case SV_CORPUS_CSV:
    case SV_CORPUS_TSV:
        return sv_csv_next(&corpus->csv, &corpus->reader, text, more, err);
    default:
        return sv_reader_line(&corpus->reader, text, more, err);
    }
}

void sv_corpus_progress(const sv_corpus *corpus, uint64_t *done, uint64_t *total) {
    *done = sv_reader_offset(&corpus->reader);
    *total = corpus->reader.size;
}

void sv_corpus_close(sv_corpus *corpus) {
    if (!corpus)
        return;
    sv_json_release(&corpus->json);
    sv_csv_release(&corpus->csv);
    sv_reader_close(&corpus->reader);
    free(corpus->key);
    free(corpus);
}
