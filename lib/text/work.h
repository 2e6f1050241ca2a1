/* The scratch memory of one encoding: buffers that begin on the stack and move to the heap for the few texts that need more. */
#ifndef SV_TEXT_WORK_H
#define SV_TEXT_WORK_H

#include "text/tokenizer_internal.h"

typedef struct sv_buffer {
    uint8_t *data; /* [room] */
    size_t size;   /* used */
    size_t room;
    bool on_heap;
} sv_buffer;

/* Bytes that each buffer has on the stack: enough for a chunk of text, and for words of hundreds of bytes. */
#define SV_WORK_TEXT 4096
#define SV_WORK_MODEL 12288

typedef struct sv_work {
    const sv_tokenizer *tokenizer;
    const senvec_allocator *allocator;
    sv_id_sink *sink;  /* NULL while a tokenizer is loaded and its added tokens are normalised */
    bool no_memory;    /* stop */
    bool origin;       /* the normalised text begins where the whole text does */
    sv_buffer text[2]; /* the text, before and after a normalizer, in turn */
    sv_buffer points;  /* its code points, while it is decomposed or composed */
    sv_buffer piece;   /* a piece of text that a pre-tokenizer has changed */
    sv_buffer model;   /* the model's own */
    _Alignas(16) uint8_t stack[3 * SV_WORK_TEXT + 2 * SV_WORK_MODEL];
} sv_work;

/* How many bytes at the beginning of a text are ASCII. */
static inline size_t sv_ascii_length(const uint8_t *text, size_t size) {
    size_t i = 0;
    for (uint64_t word; i + 8 <= size; i += 8) {
        memcpy(&word, text + i, 8);
        if (word & UINT64_C(0x8080808080808080))
            break;
    }
    while (i < size && text[i] < 0x80)
        i++;
    return i;
}

void sv_work_init(sv_work *work, const sv_tokenizer *tokenizer, sv_id_sink *sink);
void sv_work_release(sv_work *work);

/* Makes room for `room` bytes and keeps what is used; false: there is no memory, which is noted. */
bool sv_work_grow(sv_work *work, sv_buffer *buffer, size_t room);
static inline bool sv_work_room(sv_work *work, sv_buffer *buffer, size_t room) {
    return room <= buffer->room || sv_work_grow(work, buffer, room);
}

/* Whether encoding should end: no more ids are wanted, or there is no memory. */
static inline bool sv_work_stops(const sv_work *work) {
    return work->no_memory || (work->sink && work->sink->truncated);
}

#endif
