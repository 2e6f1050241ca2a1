/* The part of an answer that stands for its texts, written by the threads that compute them while other texts are still being
 * computed: a thousand vectors as JSON take as long as fifty texts. Inside of the server. */
#ifndef SV_SERVER_ANSWER_TEXTS_H
#define SV_SERVER_ANSWER_TEXTS_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include "server/bytes.h"

struct sv_exchange;

/* Texts whose part is written, but whose turn hasn't come. */
typedef struct sv_answer_part {
    struct sv_answer_part *next;
    size_t first, count;
    sv_bytes bytes;
} sv_answer_part;

typedef struct sv_answer_texts {
    pthread_mutex_t lock;
    size_t written;        /* texts, from the first on, that are in the answer */
    bool busy;             /* a thread writes to the answer */
    sv_answer_part *parts; /* that wait for texts before them */
} sv_answer_texts;

void sv_answer_texts_init(sv_answer_texts *texts);
/* When no thread writes any more. */
void sv_answer_texts_release(sv_answer_texts *texts);

/* The vectors of the texts first .. first + count are there: writes what stands for them in the exchange's answer, each text by
 * the exchange's `write_text` or as raw bytes, in the order of the texts. Different threads may do it for different texts at
 * the same time; when all have returned, all texts are in the answer, unless there was no memory. */
void sv_answer_texts_write(struct sv_exchange *exchange, size_t first, size_t count);
/* When no thread writes any more: true if all texts of the exchange are in its answer; else there was no memory for it, or not
 * all were written. Frees the parts that still wait. */
bool sv_answer_texts_end(struct sv_exchange *exchange);

#endif
