/* The corpus reader: whatever the file, its texts lie in the buffer, or it is refused by name. The first byte of an input
 * chooses the format and the options, the others are the file. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "io/corpus.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The command never aborts, a broken promise does. */
static void require(int kept) {
    if (!kept)
        abort();
}

static const char *const kept_names[] = {"id", "1"};

static sv_corpus_options options_of(uint8_t choice) {
    static const sv_corpus_format formats[] = {SV_CORPUS_LINES, SV_CORPUS_JSONL, SV_CORPUS_CSV, SV_CORPUS_TSV};
    sv_corpus_options options = {.format = formats[choice & 3], .skip_bad = choice >> 2 & 1};
    if (options.format == SV_CORPUS_JSONL)
        options.key = choice >> 3 & 1 ? "a.t" : "t";
    if (options.format == SV_CORPUS_CSV || options.format == SV_CORPUS_TSV) {
        options.column = choice >> 3 & 1 ? "t" : "1";
        options.header = choice >> 4 & 1;
        options.separator = choice >> 5 & 1 ? ';' : 0;
    }
    if (options.format != SV_CORPUS_LINES && choice >> 6 & 1) {
        options.keep = kept_names;
        options.keep_count = 2;
    }
    return options;
}

/* Reads every byte, so that a sanitizer sees one that isn't the reader's. */
static void touch(senvec_text text) {
    for (size_t i = 0; i < text.length; i++)
        (void)*(const volatile char *)&text.data[i];
}

static void read_all(sv_corpus *corpus, const sv_corpus_options *options, senvec_error *err) {
    senvec_text text;
    bool more = true;
    while (sv_corpus_next(corpus, &text, &more, err) == SENVEC_OK && more) {
        touch(text);
        for (size_t i = 0; i < options->keep_count; i++) {
            const sv_corpus_value value = sv_corpus_kept(corpus, i);
            if (value.kind == SV_VALUE_STRING)
                touch(value.text);
            else if (value.kind == SV_VALUE_JSON)
                touch((senvec_text){value.json.text, value.json.length});
        }
    }
    require(!more || err->message[0]);
    const char *first;
    require((sv_corpus_skipped(corpus, &first) > 0) == (first != NULL));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0)
        return 0;
    const sv_corpus_options options = options_of(data[0]);
    int descriptor = memfd_create("fuzz", MFD_CLOEXEC);
    require(descriptor >= 0 && write(descriptor, data + 1, size - 1) == (ssize_t)(size - 1));
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor);
    sv_corpus *corpus;
    senvec_error err = {0};
    if (sv_corpus_open(path, &options, &corpus, &err) == SENVEC_OK) {
        read_all(corpus, &options, &err);
        sv_corpus_close(corpus);
    } else {
        require(err.message[0] != '\0');
    }
    close(descriptor);
    return 0;
}
