/* WordPiece: a word becomes the longest tokens from the left, or one [UNK] if that fails anywhere. */
#include "text/tokenizer_internal.h"

static uint64_t hash_of(sv_piece piece, const uint8_t *bytes, size_t length) {
    uint64_t hash = sv_vocabulary_hash_start(piece);
    for (size_t i = 0; i < length; i++)
        hash = sv_vocabulary_hash_step(hash, bytes[i]);
    return hash;
}

/* The pieces of a word that is no token itself. They are put only once all are known. */
static void put_pieces(const sv_wordpiece *model, const uint8_t *word, size_t bytes, sv_id_sink *sink) {
    const sv_vocabulary *vocabulary = &model->vocabulary;
    uint64_t hashes[SV_MAX_TOKEN_BYTES + 1]; /* of the prefixes of what is left, by length */
    uint32_t ids[SV_MAX_WORD_CHARS];         /* a piece has at least one code point */
    size_t pieces = 0;
    sv_piece piece = SV_PIECE_START;
    for (size_t at = 0; at < bytes; piece = SV_PIECE_REST) {
        const uint8_t *rest = word + at;
        size_t length = bytes - at;
        if (length > vocabulary->longest[piece])
            length = vocabulary->longest[piece];
        hashes[0] = sv_vocabulary_hash_start(piece);
        for (size_t i = 0; i < length; i++)
            hashes[i + 1] = sv_vocabulary_hash_step(hashes[i], rest[i]);
        uint32_t id = model->unknown;
        while (length > 0 && !sv_vocabulary_find(vocabulary, hashes[length], piece, rest, length, &id))
            length--;
        if (length == 0) {
            sv_put_id(sink, model->unknown);
            return;
        }
        ids[pieces++] = id;
        at += length;
    }
    for (size_t i = 0; i < pieces; i++)
        sv_put_id(sink, ids[i]);
}

void sv_wordpiece_encode(const sv_wordpiece *model, const uint8_t *word, size_t bytes, size_t chars, sv_id_sink *sink) {
    uint32_t id;
    if (chars > model->max_word_chars)
        sv_put_id(sink, model->unknown);
    else if (sv_vocabulary_find(&model->vocabulary, hash_of(SV_PIECE_START, word, bytes), SV_PIECE_START, word, bytes, &id))
        sv_put_id(sink, id);
    else
        put_pieces(model, word, bytes, sink);
}
