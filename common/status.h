/* Errors inside the library: how a failing function says what went wrong.
 *
 * A failing function returns a senvec_status and, through its last argument, one line: what, where, why, what to do.
 *
 *     senvec_status sv_thing_load(const char *path, sv_thing *out, senvec_error *err) {
 *         SENVEC_TRY(sv_file_map(path, &file, err));
 *         if (file.size < 8)
 *             return sv_fail(err, SENVEC_FORMAT, file.size, "%s: ends at byte %zu, before its header; fetch it again", ...);
 */
#ifndef SV_COMMON_STATUS_H
#define SV_COMMON_STATUS_H

#include "senvec.h"

/* Writes code, offset and the formatted message (cut to fit, control characters replaced by '?') to *err if err isn't NULL.
 * Returns `code`, which must not be SENVEC_OK. */
__attribute__((format(printf, 4, 5))) senvec_status sv_fail(senvec_error *err, senvec_status code, uint64_t offset,
                                                            const char *format, ...);

/* Returns from the calling function with the status of `expression` if that isn't SENVEC_OK. For functions with something to
 * release, `goto out` instead. */
#define SENVEC_TRY(expression)                                                                                                 \
    do {                                                                                                                       \
        senvec_status sv_try_status = (expression);                                                                            \
        if (sv_try_status != SENVEC_OK)                                                                                        \
            return sv_try_status;                                                                                              \
    } while (0)

#endif
