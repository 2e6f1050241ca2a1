/* Members that change the answer. */
#include "server/members.h"

#include "server/inputs.h"

void sv_members_model(sv_exchange *exchange, const char *name) {
    const char *asked = "";
    if (!sv_inputs_is_string(exchange, name) || !sv_inputs_string(exchange, name, &asked))
        return;
    const char *known = sv_server_name_of(exchange->server, asked);
    exchange->model = known ? known : exchange->model;
}

bool sv_members_dimensions(sv_exchange *exchange, const char *name) {
    return sv_inputs_number(exchange, name, 1, exchange->server->info.dimensions, &exchange->dimensions);
}

bool sv_members_normalize(sv_exchange *exchange, const char *name) {
    bool normalize;
    if (!sv_inputs_has(exchange, name))
        return true;
    if (!sv_inputs_flag(exchange, name, &normalize))
        return false;
    exchange->normalize = normalize ? SENVEC_NORMALIZE_ON : SENVEC_NORMALIZE_OFF;
    return true;
}

bool sv_members_type(sv_exchange *exchange, const char *name) {
    unsigned type = exchange->type;
    bool known = sv_inputs_choice(exchange, name, sv_vector_type_names, &type);
    exchange->type = (sv_vector_type)type;
    return known;
}

bool sv_members_truncate(sv_exchange *exchange, const char *name) {
    static const char *const ends[] = {"end", "none", "start", NULL};
    bool cut = true;
    unsigned end = 0;
    if (sv_inputs_is_string(exchange, name)) {
        if (!sv_inputs_choice(exchange, name, ends, &end))
            return false;
        cut = end == 0;
    } else if (!sv_inputs_flag(exchange, name, &cut)) {
        return false;
    }
    exchange->strict |= !cut;
    exchange->at_start |= end == 2;
    return true;
}

bool sv_members_direction(sv_exchange *exchange, const char *name) {
    static const char *const directions[] = {"right", "left", NULL};
    unsigned direction = 0;
    if (!sv_inputs_choice(exchange, name, directions, &direction))
        return false;
    exchange->strict |= direction == 1;
    exchange->at_start |= direction == 1;
    return true;
}

bool sv_members_refuse(sv_exchange *exchange, const char *name, bool refused, const char *why) {
    bool given = !refused;
    if (!sv_inputs_flag(exchange, name, &given))
        return false;
    if (given == refused)
        sv_exchange_fail(exchange, 422, "%s %s", name, why);
    return given != refused;
}

bool sv_members_agree(sv_exchange *exchange) {
    if (exchange->type != SV_VECTOR_INT8 && exchange->type != SV_VECTOR_UINT8)
        return true;
    if (exchange->normalize == SENVEC_NORMALIZE_OFF) {
        sv_exchange_fail(exchange, 422, "%s is for vectors of length 1; leave out normalize, or ask for floats",
                         sv_vector_type_names[exchange->type]);
        return false;
    }
    exchange->normalize = SENVEC_NORMALIZE_ON;
    return true;
}
