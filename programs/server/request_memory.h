/* The memory of requests and answers, and the rules by which it is shared. Inside of the server.
 *
 * What a request takes is taken here first and given back when it is freed. Nobody can take all:
 *
 * - requests of up to SV_SMALL_REQUEST bytes, and vectors with the answers to be made of them, may use all of the memory,
 * larger requests all but an eighth: there is room for small ones however many large ones there are, and what waits gets on;
 * - an address may hold a multiple of what is then left to all, so that whoever comes next finds some: bodies, which cost their
 *   sender nothing while they are half sent, as much as is left; all that it holds 15 times as much;
 * - answers aren't held against the next body of their address, whose clients would be refused for being many. Instead the next
 *   one waits until the address has no more than a quarter of the memory in answers (a half, where the request is small): so
 *   there is some for bodies. */
#ifndef SV_SERVER_REQUEST_MEMORY_H
#define SV_SERVER_REQUEST_MEMORY_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SV_SMALL_REQUEST ((size_t)256 << 10)
#define SV_MEMORY_SHARES 1024
#define SV_DEFAULT_SERVER_MEMORY ((size_t)512 << 20)
#define SV_LEAST_SERVER_MEMORY ((size_t)16 << 20)

/* What a request, or an address, has. */
typedef struct sv_memory_held {
    size_t request; /* bytes of bodies and of work on them */
    size_t answer;  /* of vectors and answers */
} sv_memory_held;

typedef struct sv_request_memory {
    pthread_mutex_t lock;
    size_t most, used;
    sv_memory_held shares[SV_MEMORY_SHARES]; /* by address; two that fall together share one */
} sv_request_memory;

typedef enum sv_memory_use { SV_MEMORY_BODY, SV_MEMORY_WORK, SV_MEMORY_ANSWER } sv_memory_use;

typedef enum sv_memory_answer {
    SV_MEMORY_GRANTED,
    SV_MEMORY_BUSY,  /* others have it; later there may be some */
    SV_MEMORY_NEVER, /* a request can't have so much even if it is the only one */
} sv_memory_answer;

/* The default size: 512 MiB, or half of what `machine` bytes (0: unknown; a control group's limit counts) leave beside a model
 * of `model` bytes and 64 MiB for the process; at least 16 MiB. */
size_t sv_request_memory_default(uint64_t machine, uint64_t model);

void sv_request_memory_init(sv_request_memory *memory, size_t most);
void sv_request_memory_release(sv_request_memory *memory);

/* For a request of `address` (any number that tells addresses apart), which has `held` already: `more` bytes are added to it,
 * if they are granted. */
sv_memory_answer sv_request_memory_take(sv_request_memory *memory, uint64_t address, sv_memory_use use, sv_memory_held *held,
                                        size_t more);
/* Takes them for an answer whatever is left: for the one request without which nothing would get on. */
void sv_request_memory_force(sv_request_memory *memory, uint64_t address, sv_memory_held *held, size_t more);
/* Gives back some of held->request. */
void sv_request_memory_give(sv_request_memory *memory, uint64_t address, sv_memory_held *held, size_t bytes);
/* Gives back all but `answer` bytes; what is left is the answer's. */
void sv_request_memory_keep(sv_request_memory *memory, uint64_t address, sv_memory_held *held, size_t answer);
size_t sv_request_memory_used(sv_request_memory *memory);
/* The most that one request can have for `use`. */
size_t sv_request_memory_limit(const sv_request_memory *memory, sv_memory_use use, size_t wanted);

#endif
