/* http://HOST[:PORT][/PATH] */
#ifndef SV_HTTP_URL_H
#define SV_HTTP_URL_H

#include "common/status.h"

typedef struct sv_url {
    char host[256];      /* without the brackets of an IPv6 address */
    char port[6];        /* "80" unless given */
    char authority[280]; /* for the Host field: as it was written */
    char path[1024];     /* "/" unless given; a query belongs to it */
} sv_url;

/* Error: INVALID_ARGUMENT: what is wrong; https and others are refused by name. */
senvec_status sv_url_parse(const char *text, sv_url *out, senvec_error *err);

#endif
