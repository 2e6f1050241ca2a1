/* The space id of the model that is served (senvec_model_space_id): which vectors can be compared with those of this server. A
 * server doesn't wait for it: if the id isn't remembered from an earlier run, a thread computes it while requests are answered.
 * Inside of the server. */
#ifndef SV_SERVER_MODEL_SPACE_H
#define SV_SERVER_MODEL_SPACE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "senvec.h"

typedef struct sv_model_space {
    const senvec_model *model;
    char id[SENVEC_SPACE_ID_SIZE];
    atomic_bool known; /* `id` is there and stays */
    bool started;
    pthread_t thread;
} sv_model_space; /* zeroed: not known, and never will be */

/* Takes the id from `info`, which is the model's, or starts computing it. A failure is no error; the id stays unknown then, as
 * for a native file without one. */
void sv_model_space_open(sv_model_space *space, const senvec_model *model, const senvec_model_info *info);
/* Waits until it is computed: seconds at most, where a server of a large model ends as soon as it has begun. */
void sv_model_space_close(sv_model_space *space);

/* 64 hexadecimal digits that live as long as `space`; NULL while they aren't known. Thread safe. */
const char *sv_model_space_id(const sv_model_space *space);

#endif
