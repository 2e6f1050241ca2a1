/* TEI's POST /tokenize and /decode: a text's tokens and back. Whole texts, however long, since clients split them by what is
 * counted here. */
#include <stdlib.h>
#include <string.h>

#include "server/apis.h"
#include "server/inputs.h"
#include "server/members.h"

#define TOKEN_BYTES 80 /* of a token in an answer; few have more */

/* ---------------------------------------------------------------- tokenize */

/* "[CLS]", "<s>". */
static bool is_special(const char *token) {
    size_t length = strlen(token);
    return length > 2 && ((token[0] == '[' && token[length - 1] == ']') || (token[0] == '<' && token[length - 1] == '>'));
}

static void write_tokens(sv_exchange *exchange, const uint32_t *ids, size_t count, bool special) {
    sv_bytes *answer = &exchange->answer;
    const char *comma = "";
    sv_bytes_text(answer, "[");
    for (size_t i = 0; i < count; i++) {
        bool is_frame = i == 0 || i + 1 == count;
        if (is_frame && !special)
            continue;
        const char *token = sv_token_text_of(&exchange->served->tokens, ids[i]);
        sv_bytes_print(answer, "%s{\"id\":%u,\"text\":", comma, ids[i]);
        sv_bytes_string(answer, token ? token : "", token ? strlen(token) : 0);
        sv_bytes_print(answer, ",\"special\":%s,\"start\":null,\"stop\":null}", is_frame ? "true" : "false");
        comma = ",";
    }
    sv_bytes_text(answer, "]");
}

/* The tokens of text i behind the prompt that was asked for; `joined` holds the two of them. False: an error is the answer. */
static bool tokens_of(sv_exchange *exchange, size_t i, sv_bytes *joined, uint32_t *ids, size_t capacity, size_t *count) {
    senvec_text text = exchange->texts[i];
    if (exchange->prompt && *exchange->prompt) {
        joined->length = 0;
        sv_bytes_text(joined, exchange->prompt);
        sv_bytes_put(joined, text.data, text.length);
        text = (senvec_text){joined->data, joined->length};
    }
    if (!joined->failed && senvec_tokenize_whole(exchange->served->facts, text, ids, capacity, count, NULL) == SENVEC_OK)
        return true;
    sv_exchange_fail_memory(exchange, "the tokens");
    return false;
}

/* How many tokens the texts have: *most in one, *all together. */
static bool count_tokens(sv_exchange *exchange, sv_bytes *joined, size_t *most, size_t *all) {
    *most = *all = 0;
    for (size_t i = 0; i < exchange->count; i++) {
        size_t count;
        if (!tokens_of(exchange, i, joined, NULL, 0, &count))
            return false;
        *most = count > *most ? count : *most;
        *all += count;
    }
    return true;
}

static void tokenize(sv_exchange *exchange, bool special, sv_bytes *joined) {
    size_t most, all;
    if (!count_tokens(exchange, joined, &most, &all) || !sv_exchange_reserve(exchange, all * TOKEN_BYTES))
        return;
    uint32_t *ids = sv_exchange_alloc(exchange, most, sizeof *ids, "the tokens");
    if (!ids)
        return;
    exchange->status = 200;
    for (size_t i = 0; i < exchange->count && exchange->status == 200; i++) {
        size_t count = 0;
        if (!tokens_of(exchange, i, joined, ids, most, &count))
            break;
        sv_bytes_text(&exchange->answer, i ? "," : "[");
        write_tokens(exchange, ids, count, special);
    }
    if (exchange->status == 200)
        sv_bytes_text(&exchange->answer, "]");
    free(ids);
}

void sv_tei_tokenize(sv_exchange *exchange) {
    bool special = true;
    sv_bytes joined = {0};
    if (!sv_exchange_parse(exchange) || !sv_inputs_flag(exchange, "add_special_tokens", &special) ||
        !sv_members_prompt(exchange, "prompt_name") || !sv_inputs_texts(exchange, "inputs", SV_INPUT_IDS))
        return;
    tokenize(exchange, special, &joined);
    sv_bytes_release(&joined);
}

/* ------------------------------------------------------------------ decode */

/* Puts the token behind the text as the vocabulary's kind has it: "##ing" goes on with the word before it, and so does a token
 * that isn't "\u2581the" among those that are; others are words, but for the marks that end a sentence. */
static void add_token(sv_bytes *text, const char *token) {
    static const char space[] = "\xe2\x96\x81";
    bool first = text->length == 0;
    if (token[0] == '#' && token[1] == '#' && token[2]) {
        sv_bytes_text(text, token + (first ? 0 : 2));
    } else if (strncmp(token, space, 3) == 0) {
        sv_bytes_text(text, first ? "" : " ");
        sv_bytes_text(text, token + 3);
    } else {
        sv_bytes_text(text, first || strchr(".?!,", token[0]) ? "" : " ");
        sv_bytes_text(text, token);
    }
}

typedef struct decoding {
    bool skips_special;
    size_t lists;
} decoding;

static bool decode(sv_exchange *exchange, const uint32_t *ids, size_t count, void *context) {
    decoding *d = context;
    sv_bytes text = {0};
    for (size_t i = 0; i < count; i++) {
        const char *token = sv_token_text_of(&exchange->served->tokens, ids[i]);
        if (!d->skips_special || !is_special(token))
            add_token(&text, token);
    }
    sv_bytes_text(&exchange->answer, d->lists++ ? "," : "[");
    sv_bytes_string(&exchange->answer, text.data ? text.data : "", text.length);
    exchange->answer.failed |= text.failed;
    sv_bytes_release(&text);
    return true;
}

void sv_tei_decode(sv_exchange *exchange) {
    decoding d = {.skips_special = true};
    if (!sv_exchange_parse(exchange) || !sv_inputs_flag(exchange, "skip_special_tokens", &d.skips_special) ||
        !sv_exchange_reserve(exchange, 2 * exchange->body.length) || !sv_inputs_ids(exchange, "ids", decode, &d))
        return;
    exchange->status = 200;
    sv_bytes_text(&exchange->answer, "]");
}
