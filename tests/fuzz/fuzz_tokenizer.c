/* Fuzz target: the tokenizer, with what must hold for any text.
 *
 * An input that starts with "{" is a tokenizer.json of any kind, and its own text; otherwise all but the first byte is a text
 * for a small tokenizer that is built in. For a text: the ids are those of the vocabulary, and nothing is written behind
 * max_ids; with the small one they begin with [CLS] and end with [SEP], and a cut text has the first ids of the whole one.
 * Those are checked with abort(). */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "text/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_IDS = 4096, CLS = 1, SEP = 2 };

/* Byte-like pieces in several scripts, so that words split in many ways. */
static const char vocabulary[] =
    "[UNK]\n[CLS]\n[SEP]\n[MASK]\n[PAD]\na\nb\nab\nabc\n##a\n##b\n##ab\n##bc\nthe\ning\n##ing\n##s\n,\n"
    "[\n]\n\xc3\xa9\n##\xc3\xa9\n\xe4\xb8\xad\n\xd0\xb0\n##\xd0\xb0\n\xe1\x84\x80\n##\xe1\x85\xa1\n"
    "\xe3\x80\xae\n##\xe3\x80\xae\n##\xf0\x9d\x85\xad\n\xf0\x9f\x98\x80\n";

static char directory[] = "/tmp/senvec-fuzz-XXXXXX";
static sv_tokenizer *tokenizer;

static void require(bool condition) {
    if (!condition)
        abort();
}

static void write_file(const char *name, const void *data, size_t size) {
    char path[SV_MAX_PATH];
    require(sv_path_join(directory, name, path, NULL) == SENVEC_OK);
    FILE *file = fopen(path, "wb");
    require(file && fwrite(data, 1, size, file) == size && fclose(file) == 0);
}

static void remove_file(const char *name) {
    char path[SV_MAX_PATH];
    require(sv_path_join(directory, name, path, NULL) == SENVEC_OK);
    unlink(path);
}

static void clean_up(void) {
    sv_tokenizer_free(tokenizer);
    remove_file("tokenizer.json");
    rmdir(directory);
}

static void set_up(void) {
    require(mkdtemp(directory) != NULL);
    write_file("vocab.txt", vocabulary, sizeof vocabulary - 1);
    require(sv_tokenizer_load(directory, NULL, &tokenizer, NULL) == SENVEC_OK);
    remove_file("vocab.txt");
    atexit(clean_up);
}

static void check_text(const sv_tokenizer *t, const char *text, size_t length) {
    static uint32_t all[MAX_IDS];
    sv_tokens whole = sv_tokenizer_encode(t, text, length, SENVEC_TRUNCATION_AUTO, all, MAX_IDS);
    require(whole.count >= 2 && whole.count <= MAX_IDS);
    for (size_t i = 0; i < whole.count; i++)
        require(all[i] < sv_tokenizer_vocabulary(t));
    for (size_t max = 2; max < 12; max++) {
        uint32_t ids[13];
        ids[max] = UINT32_MAX;
        sv_tokens cut = sv_tokenizer_encode(t, text, length, SENVEC_TRUNCATION_AUTO, ids, max);
        require(cut.count == (whole.count < max ? whole.count : max));
        require(cut.truncated == (whole.count > max));
        require(memcmp(ids, all, (cut.count - 1) * sizeof *ids) == 0 && ids[cut.count - 1] == all[whole.count - 1]);
        require(ids[max] == UINT32_MAX);
    }
}

/* What must hold for any tokenizer: a template may have any shape, and a text may be cut on either side. */
static void check_any(const sv_tokenizer *t, const char *text, size_t length) {
    static uint32_t all[MAX_IDS], types[MAX_IDS];
    size_t specials = sv_tokenizer_specials(t, false), size = sv_tokenizer_vocabulary(t), token_length;
    const senvec_truncation side = (senvec_truncation)(length % 3);
    for (size_t max = 0; max < MAX_IDS; max = max * 3 + 1) {
        all[max] = UINT32_MAX;
        sv_tokens tokens = sv_tokenizer_encode(t, text, length, side, all, max);
        size_t whole = sv_tokenizer_count(t, text, length).count;
        require(tokens.count == (whole < max ? whole : max) && all[max] == UINT32_MAX);
        require(tokens.truncated == (whole > max) && whole >= specials);
        for (size_t i = 0; i < tokens.count; i++)
            require(all[i] < size);
    }
    for (uint32_t id = 0; id < size && id < 64; id++)
        sv_tokenizer_token(t, id, &token_length);
    for (size_t max = sv_tokenizer_specials(t, true); sv_tokenizer_takes_pairs(t) && max < 40; max++) {
        senvec_text a = {text, length / 3}, b = {text + length / 3, length - length / 3};
        all[max] = types[max] = UINT32_MAX;
        sv_tokens tokens = sv_tokenizer_encode_pair(t, a, b, side, all, types, max);
        require(tokens.count <= max && all[max] == UINT32_MAX && types[max] == UINT32_MAX);
        require(tokens.count == max || !tokens.truncated);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (!tokenizer)
        set_up();
    if (size == 0)
        return 0;
    const char *rest = (const char *)data + 1;
    if (data[0] != '{') {
        check_text(tokenizer, rest, size - 1);
        return 0;
    }
    write_file("tokenizer.json", data, size);
    sv_tokenizer *loaded;
    senvec_error err;
    if (sv_tokenizer_load(directory, NULL, &loaded, &err) == SENVEC_OK) {
        check_any(loaded, rest, size - 1);
        sv_tokenizer_free(loaded);
    } else {
        require(err.message[0] != '\0');
    }
    return 0;
}
