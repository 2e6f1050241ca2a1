/* Scratch memory: one block on the stack for all buffers, and a heap block for each that outgrows its part. */
#include "text/work.h"

#include <string.h>

static uint8_t *place(sv_buffer *buffer, uint8_t *at, size_t room) {
    *buffer = (sv_buffer){.data = at, .room = room};
    return at + room;
}

void sv_work_init(sv_work *work, const sv_tokenizer *tokenizer, sv_id_sink *sink) {
    work->tokenizer = tokenizer;
    work->allocator = &tokenizer->arena.allocator;
    work->sink = sink;
    work->no_memory = work->origin = false;
    uint8_t *at = place(&work->text[0], work->stack, SV_WORK_TEXT);
    at = place(&work->text[1], at, SV_WORK_TEXT);
    at = place(&work->piece, at, SV_WORK_TEXT);
    at = place(&work->points, at, SV_WORK_MODEL);
    place(&work->model, at, SV_WORK_MODEL);
}

static void release(sv_work *work, sv_buffer *buffer) {
    if (buffer->on_heap)
        sv_free(work->allocator, buffer->data, buffer->room, 1);
}

void sv_work_release(sv_work *work) {
    release(work, &work->text[0]);
    release(work, &work->text[1]);
    release(work, &work->piece);
    release(work, &work->points);
    release(work, &work->model);
}

bool sv_work_grow(sv_work *work, sv_buffer *buffer, size_t room) {
    size_t doubled = 2 * buffer->room > room ? 2 * buffer->room : room;
    void *block;
    if (sv_alloc(work->allocator, doubled, 1, "a long word", &block, NULL) != SENVEC_OK) {
        work->no_memory = true;
        if (work->sink)
            work->sink->no_memory = true;
        return false;
    }
    memcpy(block, buffer->data, buffer->size);
    release(work, buffer);
    *buffer = (sv_buffer){.data = block, .size = buffer->size, .room = doubled, .on_heap = true};
    return true;
}
