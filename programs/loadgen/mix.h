/* A mix: whole numbers with weights, such as the sizes of requests. "1" is always 1; "1:9,32:1" is 1 nine times of ten. */
#ifndef SV_LOADGEN_MIX_H
#define SV_LOADGEN_MIX_H

#include "common/status.h"
#include "stats/random.h"

enum { SV_MIX_MAX = 8 };

typedef struct sv_mix {
    size_t count;
    size_t values[SV_MIX_MAX];
    double weights[SV_MIX_MAX]; /* positive */
} sv_mix;

/* VALUE[:WEIGHT][,VALUE[:WEIGHT]]...; a weight is 1 unless given. `what` names the mix in messages. Error: INVALID_ARGUMENT
 * (what is wrong; values outside 1 .. most). */
senvec_status sv_mix_parse(const char *text, size_t most, const char *what, sv_mix *out, senvec_error *err);
/* The index of a value, drawn by weight. */
size_t sv_mix_draw(const sv_mix *mix, sv_random *random);

#endif
