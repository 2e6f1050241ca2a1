/* Whoever has the texts that come next writes to the answer itself; what comes later is written apart and added when it is its
 * turn, by whoever has the answer then. A request's texts are taken in their order, so few parts wait at a time, unless one
 * thread is held up for long. Together with them the answer holds what has been written so far, which is no more than it holds
 * at the end. */
#include "server/answer_texts.h"

#include <stdlib.h>

#include "server/exchange.h"
#include "server/vectors.h"

void sv_answer_texts_init(sv_answer_texts *texts) {
    *texts = (sv_answer_texts){.parts = NULL};
    pthread_mutex_init(&texts->lock, NULL);
}

static void free_part(sv_answer_part *part) {
    sv_bytes_release(&part->bytes);
    free(part);
}

static void free_parts(sv_answer_texts *texts) {
    for (sv_answer_part *part = texts->parts, *next; part; part = next) {
        next = part->next;
        free_part(part);
    }
    texts->parts = NULL;
}

void sv_answer_texts_release(sv_answer_texts *texts) {
    free_parts(texts);
    pthread_mutex_destroy(&texts->lock);
}

static void write_texts(sv_exchange *exchange, size_t first, size_t count, sv_bytes *to) {
    for (size_t i = first; i < first + count; i++) {
        sv_vectors_cut(exchange, i);
        if (exchange->raw)
            sv_vectors_write_raw(exchange, i, to);
        else
            exchange->write_text(exchange, i, to);
    }
}

/* Takes the part whose turn it is out of the list; NULL: it isn't there yet. */
static sv_answer_part *take_next(sv_answer_texts *texts) {
    for (sv_answer_part **at = &texts->parts; *at; at = &(*at)->next) {
        sv_answer_part *part = *at;
        if (part->first == texts->written) {
            *at = part->next;
            return part;
        }
    }
    return NULL;
}

/* Ends the turn of who has written `count` texts to the answer. With the lock held, which is let go meanwhile. */
static void end_turn(sv_exchange *exchange, size_t count) {
    sv_answer_texts *texts = &exchange->answer_texts;
    sv_answer_part *part;
    texts->written += count;
    while ((part = take_next(texts))) {
        pthread_mutex_unlock(&texts->lock);
        sv_bytes_put(&exchange->answer, part->bytes.data, part->bytes.length);
        exchange->answer.failed |= part->bytes.failed;
        size_t added = part->count;
        free_part(part);
        pthread_mutex_lock(&texts->lock);
        texts->written += added;
    }
    texts->busy = false;
}

void sv_answer_texts_write(sv_exchange *exchange, size_t first, size_t count) {
    sv_answer_texts *texts = &exchange->answer_texts;
    pthread_mutex_lock(&texts->lock);
    if (!texts->busy && texts->written == first) {
        texts->busy = true;
        pthread_mutex_unlock(&texts->lock);
        write_texts(exchange, first, count, &exchange->answer);
        pthread_mutex_lock(&texts->lock);
        end_turn(exchange, count);
        pthread_mutex_unlock(&texts->lock);
        return;
    }
    pthread_mutex_unlock(&texts->lock);
    sv_answer_part *part = malloc(sizeof *part);
    if (!part)
        return; /* the texts stay missing */
    *part = (sv_answer_part){.first = first, .count = count};
    write_texts(exchange, first, count, &part->bytes);
    pthread_mutex_lock(&texts->lock);
    part->next = texts->parts;
    texts->parts = part;
    if (!texts->busy) {
        texts->busy = true;
        end_turn(exchange, 0);
    }
    pthread_mutex_unlock(&texts->lock);
}

bool sv_answer_texts_end(sv_exchange *exchange) {
    free_parts(&exchange->answer_texts);
    return exchange->answer_texts.written == exchange->count && !exchange->answer.failed;
}
